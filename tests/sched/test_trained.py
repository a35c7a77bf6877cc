"""Schedules as the training has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny import SMALL_MODEL, TINY, config, run

from ablation.store.attempt import seed_folder
from ablation.trial import trace


def test_cycles_in_steps_and_a_momentum(tmp_path: Path) -> None:
    """Cycles of two steps, which the schedule can count only in the training; a momentum beside the rate."""
    settings = config(*TINY, *SMALL_MODEL, "trace=true", "sched=sgdr", "sched.len=2", "sched.unit=iteration")
    run(settings, tmp_path / "sgdr")
    found = trace.read(seed_folder(tmp_path / "sgdr", 0))
    assert [row["lr"] for row in found.values()] == pytest.approx([0.1, 0.05] * 3)
    settings = config(*TINY, *SMALL_MODEL, "trace=true", "sched=one_cycle", "sched.rise=0.5", "sched.momentum=0.5")
    run(settings, tmp_path / "one_cycle")
    found = trace.read(seed_folder(tmp_path / "one_cycle", 0))
    assert (found[0]["lr"], found[3]["lr"]) == pytest.approx((0.004, 0.1))
    assert (found[0]["momentum"], found[3]["momentum"]) == pytest.approx((0.9, 0.45))
