"""A submitted sweep trains what was submitted, whatever is edited afterwards: tricks, helpers, project, options."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import CONF, SMALL_MODEL, TINY, final_weights

from launch.sweep.provenance import FLOORS

# A package of the user's own without `__init__.py`, with a data file, and a helper beside it.
TRICK = """
import json
from pathlib import Path
from helpers_of_mine import twice

def shade():
    factor = json.loads((Path(__file__).parent / "data" / "factor.json").read_text())
    return lambda batch, key: batch._replace(x=batch.x * twice(factor))
"""
SUBMIT = """
import sys
from pathlib import Path
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.sweep import submission
places, *overrides = sys.argv[1:]
for place in places.split(":"):
    with initialized():
        planned = compose_arms([[*overrides, f"out={place}"]])
    print(submission.create(planned, {"workers": 1, "gpus": [], "per_gpu": 1, "retry": {}}, "it").folder)
"""
TRAIN = """
import sys
from pathlib import Path
from rich.console import Console
from launch.status.sweep_status import Pending, sweep_status
from launch.sweep import submission
from launch.workers import local
made = submission.load(Path(sys.argv[1]))
print(local.resume(made, sweep_status([made], Pending).trials, Console(file=sys.stderr)))
"""


class Desk:
    """A user's copy of the project, and tricks beside it."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.own, self.out = folder / "checkout", folder / "own", folder / "out"
        for name in FLOORS:
            skip = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CONF.parent / name, self.checkout / name, ignore=skip)
        (self.own / "tricks_of_mine" / "data").mkdir(parents=True)
        (self.own / "tricks_of_mine" / "shade.py").write_text(TRICK)
        (self.own / "tricks_of_mine" / "data" / "factor.json").write_text("0.25")
        (self.own / "helpers_of_mine.py").write_text("def twice(x):\n    return 2 * x\n")

    def python(self, script: str, *arguments: object) -> str:
        path = os.pathsep.join([str(self.checkout), str(self.own)])
        done = subprocess.run(
            [sys.executable, "-P", "-c", script, *map(str, arguments)],
            cwd=self.own,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def submit(self, *names: str) -> list[Path]:
        target = "+aug.shade={_target_: tricks_of_mine.shade.shade}"
        places = ":".join(str(self.out / name) for name in names)
        return [*map(Path, self.python(SUBMIT, places, *TINY, *SMALL_MODEL, "epochs=1", target).splitlines())]

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.checkout, check=True, capture_output=True)


def weights(submission: Path) -> dict[str, torch.Tensor]:
    (result,) = submission.parents[2].glob("*/seed-0/result.json")
    return final_weights(result.parents[1])


def test_what_is_edited_after_the_submission_changes_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    before, frozen = desk.submit("before", "frozen")
    desk.python(TRAIN, before)

    (desk.own / "tricks_of_mine" / "data" / "factor.json").write_text("0.75")
    (desk.own / "tricks_of_mine" / "__init__.py").write_text("raise RuntimeError('edited')\n")
    (desk.own / "tricks_of_mine" / "shade.py").write_text("raise RuntimeError('edited')\n")
    (desk.own / "helpers_of_mine.py").write_text("raise RuntimeError('edited')\n")
    (desk.checkout / "ablation" / "loss" / "ce.py").write_text("raise RuntimeError('edited')\n")
    optim = desk.checkout / "conf" / "optim" / "sgd.yaml"
    lines = optim.read_text().splitlines()
    optim.write_text("".join("lr: 7\n" if line.startswith("lr:") else f"{line}\n" for line in lines))
    assert "lr: 7" in optim.read_text()
    desk.python(TRAIN, frozen)

    one, other = weights(before), weights(frozen)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_the_trick_that_is_frozen_does_something(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (before,) = desk.submit("before")
    (desk.own / "helpers_of_mine.py").write_text("def twice(x):\n    return 3 * x\n")
    (after,) = desk.submit("after")
    assert (
        json.loads((before / "submission.json").read_text())["code"]
        != json.loads((after / "submission.json").read_text())["code"]
    )
    for submission in (before, after):
        desk.python(TRAIN, submission)
    one, other = weights(before), weights(after)
    assert not all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_the_same_code_under_another_commit_is_told_apart(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for line in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "A"], ["add", "."]):
        desk.git(*line)
    desk.git("commit", "-qm", "one")
    (first,) = desk.submit("runs")
    desk.git("commit", "-qm", "two", "--allow-empty")
    (second,) = desk.submit("runs")
    (desk.checkout / "notes.txt").write_text("no code")
    desk.git("add", "notes.txt")
    (third,) = desk.submit("runs")
    heads = [json.loads((s / "submission.json").read_text()) for s in (first, second, third)]
    assert len({head["code"] for head in heads}) == 1
    assert [head["dirty"] for head in heads] == [False, False, True]
    assert heads[0]["commit"] != heads[1]["commit"] == heads[2]["commit"]
    desk.python(TRAIN, second)
    (written,) = (desk.out / "runs").glob("*/provenance*.json")
    assert json.loads(written.read_text())["commit"] == heads[1]["commit"]
    desk.python(TRAIN, first)
    assert list((desk.out / "runs").glob("*/provenance*.json")) == [written], "nothing is trained, nothing comes of it"


SOURCE_OF = "import json; from launch.sweep import provenance; print(json.dumps(provenance.source()))"


def test_whatever_lies_in_the_checkout_is_told(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    for line in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "A"]):
        desk.git(*line)
    changed = desk.checkout / "ablation" / "größe.py"
    changed.write_text("X = 1\n")
    desk.git("add", ".")
    desk.git("commit", "-qm", "one")
    changed.write_bytes(b"X = '\xff'\n\n\n   \n")
    (desk.checkout / "ablation" / "\u00fcber mich.py").write_bytes(b"Y = '\xfe'\n")
    (desk.checkout / "ablation" / "line\nbreak.py").write_text("Z = 1\n")
    (desk.checkout / "conf" / ".#config.yaml").symlink_to("me@host.123:456")  # an editor's lock
    (desk.checkout / "launch" / "lock.py").symlink_to("me@host.123:456")
    found = json.loads(desk.python(SOURCE_OF))
    assert sorted(found["untracked"]) == ["ablation/line\nbreak.py", "ablation/über mich.py"]
    assert "diff --git a/ablation/größe.py b/ablation/größe.py" in found["diff"]
    assert found["diff"].endswith("+X = '\ufffd'\n+\n+\n+   \n")
    assert len(found["commit"]) == 40
    desk.submit("runs")


def test_a_package_with_a_data_set_in_it_is_refused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with (desk.own / "tricks_of_mine" / "images.bin").open("wb") as file:
        file.truncate(101 * 2**20)
    with pytest.raises(AssertionError, match=r"tricks_of_mine: .* has more than 100 MB"):
        desk.submit("runs")
