"""kill -9 at seeded random moments, of workers and drivers: nothing is lost, doubled or changed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import CONF, final_weights

from ablation.store import attempt, journal

ROOT = CONF.parent
MOST = 50
EPOCHS = 8
GRID = (
    "-m", "aug=[],[cutout,mixup]", "regularizer=[],[ema,dropout]", "seeds=2", f"epochs={EPOCHS}",
    "data.subset=128", "data.test_subset=20", "batch_size=8", "model.depth=8", "precision=fp32", "device=cpu",
    "track=[]", "checkpoint.seconds=0.1", "hydra.launcher.workers=2",
    "+aug.brake={_target_: brake.brake, arm: 0}", f"hydra.launcher.retry.killed.tries={MOST}",
)  # fmt: skip


def command(out: Path) -> list[str]:
    return [sys.executable, "launch/run.py", *GRID, f"out={out}"]


def processes(word: str, out: Path) -> list[int]:
    """The processes whose command line has both texts."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if word in line and str(out) in line:
            found.append(int(folder.name))
    return found


def at_work(out: Path) -> list[int]:
    """The processes that hold an attempt now."""
    folders = [f.parent for f in out.glob("*/seed-*/attempt-*/beat") if attempt.live(f.parent, lease=60)]
    return sorted(holder.pid for f in folders if (holder := attempt.owner(f)))


@pytest.mark.timeout(1500)
@pytest.mark.slow
@pytest.mark.parametrize("kills", [10, MOST])
def test_kills_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int) -> None:
    """A tenth of the kills each hit the driver and a worker that may still be starting."""
    straight, hit = tmp_path / "straight", tmp_path / "hit"
    monkeypatch.setenv("BRAKE", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1] / "slurm"))  # for the brake
    subprocess.run(command(straight), cwd=ROOT, check=True, capture_output=True, timeout=300)
    draw = random.Random(2026)
    victims = ["launch/run.py", "launch.workers.worker"] * (kills // 10) + ["at work"] * (kills - 2 * (kills // 10))
    draw.shuffle(victims)
    deadline, ended = time.monotonic() + 1200, False
    slow = tmp_path / "0"
    slow.write_text("0.5")  # a step, so that no machine is done before it was killed so often
    driver = _start(hit)
    done = 0
    while not ended:
        assert time.monotonic() < deadline, f"{done} kills so far"
        if done < kills and _kill(victims[done], hit, draw):
            done += 1
        if done == kills:
            slow.unlink(missing_ok=True)
        time.sleep(0.01)
        if driver.poll() is not None:
            # It may give up only where workers are killed again and again before they have begun.
            gave_up = driver.returncode == 1 and "workers cannot start" in (tmp_path / "driver.log").read_text()
            assert driver.returncode in (0, -signal.SIGKILL) or gave_up, (tmp_path / "driver.log").read_text()[-2000:]
            ended = driver.returncode == 0
            driver = driver if ended else _start(hit)
    assert done == kills, f"the grid was done after {done} kills; make it longer"
    _same(straight, hit)


def _start(out: Path) -> subprocess.Popen[bytes]:
    with (out.parent / "driver.log").open("ab") as log:
        return subprocess.Popen(command(out), cwd=ROOT, stdout=log, stderr=log)


def _kill(victim: str, out: Path, draw: random.Random) -> bool:
    """Wait until some worker is at work, then for a random moment, and kill it, any worker, or the driver."""
    if not at_work(out):
        return False
    time.sleep(draw.uniform(0, 0.5))
    alive = at_work(out) if victim == "at work" else processes(victim, out)
    if not alive:
        return False
    try:
        os.kill(draw.choice(sorted(alive)), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _same(straight: Path, hit: Path) -> None:
    trials = sorted(p.parent.relative_to(straight) for p in straight.glob("*/seed-*/result.json"))
    assert len(trials) == 8
    assert sorted(p.parent.relative_to(hit) for p in hit.glob("*/seed-*/attempt-1")) == trials
    resumed = 0
    for trial in trials:
        one, other = (json.loads((out / trial / "result.json").read_text()) for out in (straight, hit))
        varies = {"seconds", "images_per_s", "peak_mem_mib", "attempts", "attempt"}
        assert {k: v for k, v in one.items() if k not in varies} == {k: v for k, v in other.items() if k not in varies}
        seed = int(trial.name.removeprefix("seed-"))
        a, b = final_weights(straight / trial.parent, seed), final_weights(hit / trial.parent, seed)
        assert [k for k in a if not torch.equal(a[k], b[k])] == []
        assert _curve(hit / trial) == _curve(straight / trial)
        resumed += attempt.latest(hit / trial) > 1
    assert resumed, "some were hit"


def _curve(trial: Path) -> list[dict[str, float]]:
    """What holds of a trial's epochs, but for the speed."""
    epochs = journal.history(journal.events(trial))
    assert [e["epoch"] for e in epochs] == list(range(1, EPOCHS + 1))
    return [{k: v for k, v in e["metrics"].items() if k != "images_per_s"} for e in epochs]
