"""The values of every step, as `trace=true` keeps them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import SMALL_MODEL, TINY, Silent, config, run

from ablation.errors import Stopped
from ablation.store.attempt import seed_folder
from ablation.store.journal import events, history
from ablation.trial import trace

SETTINGS = (*TINY, *SMALL_MODEL, "sched=range", "trace=true", "diverged=continue")


def traced(folder: Path, seed: int = 0) -> dict[int, dict[str, float | None]]:
    return trace.read(seed_folder(folder, seed))


def test_every_step_is_kept_and_no_stop_loses_one(tmp_path: Path) -> None:
    run(config(*SETTINGS), tmp_path / "straight")
    for stop_after in (1, 2, 2):  # within an epoch, at its end, and there again
        with pytest.raises(Stopped):
            run(config(*SETTINGS), tmp_path / "stopped", Silent(stop_after))
    run(config(*SETTINGS), tmp_path / "stopped")
    found = traced(tmp_path / "straight")
    assert traced(tmp_path / "stopped") == found
    assert [row["lr"] for row in found.values()] == pytest.approx([1e-5 * 10**i for i in range(6)])
    means = [e["metrics"]["train_loss"] for e in history(events(seed_folder(tmp_path / "straight", 0)))]
    for epoch, mean in enumerate(means):
        assert sum(found[i]["loss"] or 0 for i in (2 * epoch, 2 * epoch + 1)) / 2 == pytest.approx(mean, rel=1e-5)


def test_fused_seeds_have_a_trace_each(tmp_path: Path) -> None:
    run(config(*SETTINGS, "seeds=2"), tmp_path / "single")
    run(config(*SETTINGS, "seeds=2", "fuse=true"), tmp_path / "fused")
    for seed in (0, 1):
        one, other = (traced(tmp_path / name, seed)[0]["loss"] for name in ("single", "fused"))
        assert one == pytest.approx(other, rel=1e-3)
    assert traced(tmp_path / "fused", 0)[0]["loss"] != traced(tmp_path / "fused", 1)[0]["loss"]


def test_a_loss_that_is_not_finite_is_none(tmp_path: Path) -> None:
    run(config(*SETTINGS, "sched.end=1e30"), tmp_path)
    losses: list[Any] = [row["loss"] for row in traced(tmp_path).values()]
    assert losses[0] is not None
    assert losses[-1] is None


def test_without_it_nothing_is_kept(tmp_path: Path) -> None:
    run(config(*SETTINGS, "trace=false", "epochs=1"), tmp_path)
    assert not list(tmp_path.rglob(trace.TRACE))
    assert traced(tmp_path) == {}
