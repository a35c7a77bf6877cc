"""Two users and one folder of runs: what may be read is shown, and what may not be written is not half written."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from users import ANN, BOB, GROUP, require_users, run_as

from ablation.store.result import finished
from launch.sweep.submission import Submission
from tests.launch.workshop import BASE, submission

RUN, VERB = [sys.executable, "launch/run.py", *BASE], [sys.executable, "-m", "launch"]
RATES = "optim.lr=0.1,0.2"


@pytest.fixture
def out() -> Iterator[Path]:
    """A folder of runs that others can get to, unlike pytest's own folders."""
    require_users()
    folder = Path(mkdtemp())
    folder.chmod(0o755)
    yield folder / "runs"
    shutil.rmtree(folder)


def anns(out: Path, mode: str) -> Submission:
    """A sweep of two arms that Ann has begun; its files have this mode, as her umask has it."""
    made = submission(out, ["optim.lr=0.1"], ["optim.lr=0.2"])
    for work in made.works:
        (out / work.id / "seed-0" / "attempt-1").mkdir(parents=True)
    subprocess.run(["chown", "-R", f"{ANN}:{ANN}", out], check=True)
    subprocess.run(["chmod", "-R", mode, out], check=True)
    return made


def bob(*command: object, umask: int = 0o022) -> tuple[int, str]:
    done = run_as(BOB, umask, *command)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def tree(out: Path) -> dict[str, Any]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_uid) for p in sorted(out.rglob("*"))}


def told(place: Path, mode: str, whole: Path) -> str:
    whose = f"access is refused to user {BOB}: {place} belongs to user {ANN} (group {ANN}, mode {mode})"
    way = f"chgrp -R GROUP and chmod -R g+rwX {whole}, and umask 002 for what is still to be written"
    return f"{whose}; user {ANN} can open it to a group that you share ({way}), or give another folder with out="


def test_one_that_is_closed(out: Path) -> None:
    """A umask of 077."""
    anns(out, "u+rwX,go=")
    before = tree(out)
    code, said = bob(*VERB, "status", "--out", out)
    assert code == 1
    assert told(out, "drwx------", out) in said
    code, said = bob(*RUN, "-m", RATES, f"out={out}")
    assert (code, said.splitlines()[-1]) == (2, f"error: out={out}: {told(out, 'drwx------', out)}")
    assert tree(out) == before


def test_one_that_may_be_read(out: Path) -> None:
    made = anns(out, "u+rwX,go=rX")
    hidden = out / made.works[1].id / "seed-0"
    hidden.chmod(0o700)
    before = tree(out)
    code, said = bob(*VERB, "status", "--out", out)
    assert code == 1
    assert "lr=0.1  stopped: killed" in said
    assert "lr=0.2  failed: unreadable" in said
    code, said = bob(*VERB, "logs", "--failed", "--out", out)
    assert told(hidden, "drwx------", hidden) in said
    for verb in ("retry", "cancel"):
        code, said = bob(*VERB, verb, "--out", out)
        assert code == 1
        assert f"/{made.works[0].id} belongs to user {ANN}" in said
    assert tree(out) == before


def test_one_that_is_open_on_top(out: Path) -> None:
    """Whoever may make folders beside another's arms is refused before making any."""
    anns(out, "u+rwX,go=rX")
    out.chmod(0o777)
    before = tree(out)
    code, said = bob(*RUN, "-m", RATES, f"out={out}", "sweep=mine")
    assert (code, said.splitlines()[-1]) == (2, f"error: out={out}: {told(out / '.code', 'drwxr-xr-x', out)}")
    assert tree(out) == before


@pytest.mark.slow
def test_the_way_out_that_is_told(out: Path) -> None:
    """Each goes on with what the other began, and nothing is trained twice."""
    made = anns(out, "u+rwX,go=rX")
    subprocess.run(["chgrp", "-R", str(GROUP), out], check=True)
    subprocess.run(["chmod", "-R", "g+rwX", out], check=True)
    code, said = bob(*RUN, "-m", RATES, f"out={out}", "hydra.launcher.workers=1", umask=0o002)
    assert code == 0, said
    done = run_as(ANN, 0o002, *RUN, "-m", "optim.lr=0.1,0.2,0.3", f"out={out}")
    assert done.returncode == 0, done.stderr
    assert "2 of these were done already" in done.stdout
    assert [finished(out / work.id / "seed-0")["attempt"] for work in made.works] == [2, 2]  # type: ignore[index]


@pytest.mark.parametrize(
    "line", ["launch/run.py --cfg job", "-m launch run hydra/launcher=plan track=[]", "-m launch --help"]
)
def test_without_a_home_there_is_one_for_each_user(out: Path, line: str) -> None:
    done = run_as(ANN, 0o022, sys.executable, *line.split())
    assert done.returncode == 0, done.stderr
    assert f"HOME is not set and user {ANN} has none" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_home_that_is_missing_or_may_not_be_written(out: Path) -> None:
    """The README's first command, made small, with its tracker."""
    place = out.parent
    place.chmod(0o777)
    for number, home in enumerate((None, Path("/"))):
        runs = place / f"runs-{number}"
        tracker = f"track.mlflow.uri=sqlite:///{place}/{number}.db"
        line = [sys.executable, "launch/run.py", "recipe=smoke", "model.depth=8", f"out={runs}", tracker]
        done = run_as(ANN, 0o022, *line, home=home)
        assert done.returncode == 0, done.stderr
        assert (f"HOME is not set and user {ANN} has none" in done.stderr) is (home is None)
        assert "uploaded" not in done.stdout  # points that the tracker did not take
        assert len(list(runs.glob("*/seed-0/result.json"))) == 1
