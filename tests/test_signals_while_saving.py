"""Signals to the whole process group while a checkpoint is written: nothing is lost, doubled or changed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from disks import leftovers
from tiny import SMALL_MODEL, TINY, config, final_weights, run

from ablation.store import attempt, journal
from ablation.store.result import RESULT

TRIAL = (*TINY, *SMALL_MODEL, "aug=[cutout,mixup]", "regularizer=[ema,dropout]", "sched=cosine")
ROOT = Path(__file__).resolve().parents[1]

# Imports and reads once; for each line it forks a process group that trains as `launch/run.py` does, and says its end.
NURSERY = """
import json, os, sys
from pathlib import Path
from ablation.errors import Stopped
from launch.workers.signals import StopSignals
from tiny import Silent, run

class Asked(Silent):
    def stop(self):
        return self.event.is_set()

settings, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
run(settings | {"epochs": 1}, folder.with_name("warm"))
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        with StopSignals() as signals:
            print(os.getpid(), flush=True)
            watch = Asked()
            watch.event = signals.received
            code = 0
            try:
                run(settings, folder, watch)
            except Stopped:
                code = 130
        os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def nursery_of(settings: dict[str, Any], folder: Path) -> Iterator[subprocess.Popen[str]]:
    line = [sys.executable, "-c", NURSERY, json.dumps(settings), str(folder)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env={**os.environ, "PYTHONPATH": path}, **pipes) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_signals_to_the_group_while_it_saves(tmp_path: Path, rounds: int) -> None:
    settings, straight, hit = config(*TRIAL) | {"epochs": 12 * rounds}, tmp_path / "straight", tmp_path / "hit"
    run(settings, straight)
    kinds = [signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGKILL] * rounds
    random.Random(15).shuffle(kinds)
    seed, ends = hit / "seed-0", dict[signal.Signals, set[int]]()
    often = settings | {"checkpoint": {"epochs": 1, "seconds": 1e-9}}  # after every step
    with nursery_of(often, hit) as nursery:
        for number, kind in enumerate(kinds, 1):
            group = begin(nursery)
            until(lambda number=number: saving(seed, number) or (seed / RESULT).exists(), "it to save")  # type: ignore[misc]
            assert not (seed / RESULT).exists(), f"done after {number - 1} signals; make it longer"
            os.killpg(group, kind)
            ends.setdefault(kind, set()).add(answer(nursery))
        begin(nursery)
        assert answer(nursery) == 0
    assert ends[signal.SIGTERM] | ends[signal.SIGINT] == {130}
    assert ends[signal.SIGUSR2] | ends[signal.SIGKILL] == {-signal.SIGUSR2, -signal.SIGKILL}
    assert attempt.latest(seed) == len(kinds) + 1
    one, other = final_weights(straight), final_weights(hit)
    assert [k for k in one if not torch.equal(one[k], other[k])] == []
    assert curve(hit, settings["epochs"]) == curve(straight, settings["epochs"])
    assert [p for p in leftovers(seed) if p.name != "beat"] == []


def until(what: Callable[[], bool], thing: str) -> None:
    """Looks all the time: what it waits for takes milliseconds."""
    end = time.monotonic() + 120
    while not what():
        time.sleep(0.0002)
        assert time.monotonic() < end, f"waited too long for {thing}"


def begin(nursery: subprocess.Popen[str]) -> int:
    assert nursery.stdin is not None
    nursery.stdin.write("\n")
    nursery.stdin.flush()
    return answer(nursery)


def answer(nursery: subprocess.Popen[str]) -> int:
    assert nursery.stdout is not None
    return int(nursery.stdout.readline())


def saving(seed: Path, number: int) -> bool:
    """Whether this attempt is writing a checkpoint right now; its first ones are let pass."""
    try:
        names = os.listdir(attempt.folder(seed, number))
    except FileNotFoundError:
        return False
    return "previous.pt" in names and any(name.startswith("next.pt.") for name in names)


def curve(folder: Path, number: int) -> list[dict[str, float]]:
    epochs = journal.history(journal.events(folder / "seed-0"))
    assert [e["epoch"] for e in epochs] == list(range(1, number + 1))
    return [{k: v for k, v in e["metrics"].items() if k != "images_per_s"} for e in epochs]
