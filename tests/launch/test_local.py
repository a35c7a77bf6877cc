"""A sweep on this machine as a user starts, stops and kills it, in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mlflow import MlflowClient
from tiny import final_weights

from ablation.store import journal
from launch.sweep.entry_points import NOW, WORKER
from launch.workers.driver import DRIVER, living_driver
from tests.launch.shells import Place, assert_same, wait
from tests.launch.workshop import BASE, ROOT, mischief, tricks, until

GRID = ("optim.lr=0.1,0.2", "seeds=2")
PLACE = ("hydra.launcher.workers=2", "hydra.launcher.check=false")


def command(out: Path, *overrides: str) -> list[str]:
    return [sys.executable, "launch/run.py", "-m", *BASE, *PLACE, *overrides, f"out={out}"]


def sweep(out: Path, *overrides: str, **env: str) -> subprocess.CompletedProcess[str]:
    line = command(out, *overrides)
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300, env={**os.environ, **env})


def start(out: Path, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(out, *overrides), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def saved(out: Path) -> int:
    """How many seeds have a checkpoint."""
    return len({path.parents[1] for path in out.glob("*/seed-*/attempt-*/last.pt")})


def workers(out: Path) -> list[int]:
    """The worker processes of a sweep that run."""
    lines = {int(p.parent.name): p for p in Path("/proc").glob("[0-9]*/cmdline")}
    found = []
    for pid, path in lines.items():
        try:
            text = path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if NOW[WORKER] in text and str(out) in text:
            found.append(pid)
    return found


def same(one: Path, other: Path) -> None:
    """Two folders have the same trials with the same weights, each done once."""
    trials = sorted(path.parent.relative_to(one) for path in one.glob("*/seed-*/result.json"))
    assert trials == sorted(path.parent.relative_to(other) for path in other.glob("*/seed-*/result.json"))
    assert len(trials) == 4
    for trial in trials:
        seed = int(trial.name.removeprefix("seed-"))
        a, b = final_weights(one / trial.parent, seed), final_weights(other / trial.parent, seed)
        assert [k for k in a if not torch.equal(a[k], b[k])] == []
        assert sum(e["event"] == "done" for e in journal.events(other / trial)) == 1


def test_a_grid_ends_with_its_table_and_is_not_run_twice(tmp_path: Path) -> None:
    done = sweep(tmp_path, *GRID)
    assert done.returncode == 0, done.stdout + done.stderr
    for text in ("lr=0.2 seed 1 epoch 3/3", "[4 of 4 done]", "4 of 4 done", " ± ", "cpu-1", str(tmp_path)):
        assert text in done.stdout
    assert not list(tmp_path.glob(f".sweeps/main/1/{DRIVER}"))
    again = sweep(tmp_path, *GRID)
    assert again.returncode == 0
    assert "4 of 4 trials are done already" in again.stdout
    assert not (tmp_path / ".sweeps" / "main" / "2" / "logs").exists(), "no worker was started"


def test_failures_are_told_grouped_and_the_rest_is_trained(tmp_path: Path) -> None:
    mine = tricks(tmp_path / "mine")
    grid = (*mischief("raise"), "optim.lr=0.1,0.2,1e30", "seeds=1")
    done = sweep(tmp_path / "out", *grid, PYTHONPATH=str(mine))
    assert done.returncode == 1
    assert "2 x error: RuntimeError: it broke at 17" in done.stdout
    assert "1 x diverged" in done.stdout
    assert "3 of 3 trials are not done" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_saves_and_the_same_command_resumes(undisturbed: Path, place: Place) -> None:
    run = place.start(place.sweep())
    wait(lambda: len(place.begun()) == 2)
    driver = place.out / ".sweeps" / "main" / "1"
    assert living_driver(driver) is not None
    run.kill(signal.SIGINT)
    said = run.wait(130)
    assert "the same command resumes" in said
    assert "2 stopped, 2 not started" in said
    assert living_driver(driver) is None
    assert place.clean()
    place.fast()
    again = place.finish(place.sweep())
    assert again.count("resumed at step") == 2
    assert_same(undisturbed, place)


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    mine = tricks(tmp_path / "mine")
    line = command(tmp_path / "out", *mischief("sleep"), "seeds=1")
    env = {**os.environ, "PYTHONPATH": str(mine)}
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env) as run:
        until(lambda: list((tmp_path / "out").glob("*/seed-0/attempt-1/journal.jsonl")))
        until(lambda: "asleep" in "".join(p.read_text() for p in (tmp_path / "out").glob(".sweeps/*/*/logs/*")))
        run.send_signal(signal.SIGINT)
        assert run.stdout is not None
        until(lambda: "second Ctrl-C" in run.stdout.readline())  # type: ignore[union-attr]
        time.sleep(1)  # two within half a second are one: some programs send it twice
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=60)
    assert run.returncode == 130
    assert not workers(tmp_path / "out")


@pytest.mark.slow
def test_kill_9_of_the_driver_loses_nothing(tmp_path: Path) -> None:
    straight, hit = tmp_path / "straight", tmp_path / "hit"
    long = (*GRID, "epochs=40")
    with start(hit, *long) as run:
        until(lambda: saved(hit) == 2)
        assert len(workers(hit)) == 2
        run.kill()
    assert living_driver(hit / ".sweeps" / "main" / "1") is None
    until(lambda: not workers(hit), 60)
    ends = [journal.events(seed)[-1]["event"] for seed in hit.glob("*/seed-0")]
    assert set(ends) <= {"stopped", "done"}, "the workers saved by themselves"
    assert sweep(hit, *long).returncode == 0
    assert sweep(straight, *long).returncode == 0
    same(straight, hit)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader:DeprecationWarning")  # MLflow's, with a new SQLAlchemy
def test_two_drivers_at_once_share_a_grid(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    grid = (*GRID, "epochs=10", "track=[mlflow]", f"track.mlflow.uri={uri}")
    with start(tmp_path / "out", *grid) as one, start(tmp_path / "out", *grid) as other:
        said = [run.communicate(timeout=300)[0] for run in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), said
    results = [json.loads(p.read_text()) for p in (tmp_path / "out").glob("*/seed-*/result.json")]
    assert [r["attempts"] for r in results] == [1] * 4, "nobody trained what another did"
    assert all("4 of 4 done" in text for text in said)
    client: Any = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("main").experiment_id])
    runs = [run for run in found if run.data.tags["ablation.kind"] == "trial"]
    assert (len(runs), len(found)) == (4, 6), "and two arms"
    for run in runs:
        history = client.get_metric_history(run.info.run_id, "test_acc")
        assert [m.step for m in history] == list(range(1, 11))


@pytest.mark.slow
def test_a_canary_that_fails_holds_the_rest(tmp_path: Path) -> None:
    mine, out = tricks(tmp_path / "mine"), tmp_path / "out"
    grid = ("+aug.mischief._target_=tricks_of_mine.mischief", "+aug.mischief.how=print,raise", "seeds=2")
    done = sweep(out, *grid, "hydra.launcher.canary=true", PYTHONPATH=str(mine))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "how=print seed 0: runs" in done.stdout
    assert "how=raise seed 0: failed (error): RuntimeError: it broke at 17" in done.stdout
    assert "1 failed, 3 held" in done.stdout
    assert not list(out.glob("*/seed-*")), "nothing was started, and of the canary nothing is left"


@pytest.mark.slow
def test_ctrl_c_during_a_canary_starts_nothing(tmp_path: Path) -> None:
    mine, out = tricks(tmp_path / "mine"), tmp_path / "out"
    trick = mischief("wait", once=tmp_path / "mark")
    line = command(out, *trick, "seeds=2", "epochs=40", "hydra.launcher.canary=true")
    env = {**os.environ, "PYTHONPATH": str(mine)}
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=env) as run:
        until((tmp_path / "mark").exists)
        run.send_signal(signal.SIGINT)
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 130, said
    assert "2 not started" in said
    assert not list(out.glob("*/seed-*")), "no trial was started"


def test_under_nohup_a_hangup_is_ignored(tmp_path: Path) -> None:
    line = ["nohup", *command(tmp_path, "seeds=1")]
    with subprocess.Popen(line, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as run:
        until(lambda: list(tmp_path.glob(f".sweeps/main/1/{DRIVER}")))
        until(lambda: workers(tmp_path))
        run.send_signal(signal.SIGHUP)
        said, _ = run.communicate(timeout=120)
    assert run.returncode == 0, said
    assert "1 of 1 done" in said


def test_an_impossible_option_is_refused_before_anything_starts(tmp_path: Path) -> None:
    done = sweep(tmp_path, *GRID, "hydra.launcher.retry.killed.tries=often")
    assert done.returncode == 2
    assert "hydra.launcher.retry.killed.tries=often: give a whole number" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
