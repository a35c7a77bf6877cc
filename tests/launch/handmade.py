"""Run folders written by hand, in the forms that trials leave them in."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

from tiny import SMALL_MODEL, TINY

from ablation.store import attempt
from ablation.store.attempt import BEAT, OWNER, Owner
from ablation.store.journal import JOURNAL, Event
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.sweep.submission import Submission, create

STEPS = 10  # per epoch


def start(step: int = 0, time: float = 100.0) -> Event:
    return {
        "event": "start",
        "time": time,
        "attempt": 1,
        "step": step,
        "device": "cpu (1 threads)",
        "precision": "fp32",
    }


def epoch(number: int, acc: float = 50.0, time: float = 110.0) -> Event:
    return {"event": "epoch", "time": time, "epoch": number, "step": number * STEPS, "metrics": {"test_acc": acc}}


def saved(step: int, time: float = 111.0) -> Event:
    return {"event": "saved", "time": time, "step": step}


def stopped(why: str = "asked", time: float = 112.0) -> Event:
    return {"event": "stopped", "time": time, "step": 0, "why": why}


def failed(cause: str, message: str = "it broke", trace: str = "", time: float = 113.0) -> Event:
    return {"event": "failed", "time": time, "cause": cause, "message": message, "trace": trace}


def gone() -> Owner:
    """A process of this machine that has ended."""
    return replace(Owner.here(), pid=2**22 + 1, time=90.0)


def elsewhere() -> Owner:
    """A process of another machine."""
    return replace(Owner.here(), host="n7", boot="other", job="12_3", time=90.0)


def make(seed: Path, number: int, *events: Event, owner: Owner | None = None, beat: float | None = None) -> Path:
    """An attempt; held until `beat` (seconds ago) if given."""
    folder = attempt.folder(seed, number)
    folder.mkdir(parents=True)
    (folder / OWNER).write_text(json.dumps(asdict(owner or gone())))
    (folder / JOURNAL).write_text("".join(f"{json.dumps(e)}\n" for e in events))
    if beat is not None:
        (folder / BEAT).touch()
        os.utime(folder / BEAT, (time.time() - beat,) * 2)
    return folder


def finish(seed: Path, number: int = 1, /, **facts: Any) -> Mapping[str, Any]:
    """The result of attempt `number`."""
    facts = {"seconds": 36.0, "device": "cpu (1 threads)", "fused": 1, **facts}
    result = {"attempt": number, "attempts": number, "epochs": 3, "steps": 30, "test_acc": 90.0, **facts}
    seed.mkdir(parents=True, exist_ok=True)
    (seed / "result.json").write_text(json.dumps(result))
    return result


def sweep(out: Path, *rows: str, name: str = "main", **launcher: Any) -> Submission:
    """A submission of tiny arms, one a row of overrides."""
    planned = [replace(p, config={**p.config, "out": str(out)}) for p in _gathered(rows, name)]
    submission = create(planned, {"kind": "local", **launcher}, "python launch/run.py -m ...")
    for p in planned:
        p.arm.write(out / p.arm.id, p.config)
    return submission


@cache
def _gathered(rows: tuple[str, ...], name: str) -> list[Planned]:
    common = [*TINY, *SMALL_MODEL, f"sweep={name}"]
    with initialized():
        return compose_arms([[*common, *row.split()] for row in rows])


def seed_folder(submission: Submission, arm: int, seed: int = 0) -> Path:
    """Of a submission's arm, counted in grid order."""
    return submission.out / list(submission.arms)[arm] / f"seed-{seed}"
