"""What a person sees."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from ablation.errors import Cancelled, Diverged
from ablation.store.attempt import Busy
from ablation.trial.observer import Leg
from launch.terminal.trial_progress import TrialBar, TrialLines

RESULT = {
    "test_acc": 91.234, "best_test_acc": 92.0, "best_epoch": 3, "test_loss": 0.31, "train_acc": 99.0, "seconds": 61.2,
    "data": {"name": "digits", "train": "1437 of 1437", "val": "none", "test": "360 of 360"},
}  # fmt: skip


@pytest.mark.parametrize("kind", [TrialLines, TrialBar])
@pytest.mark.parametrize("terminal", [False, True])
def test_a_trial_from_begin_to_panel(kind: type[TrialLines], terminal: bool) -> None:
    written = io.StringIO()
    watch = kind(
        "aug=cutout",
        Path("runs/x"),
        "sqlite:///m.db",
        Console(file=written, force_terminal=terminal, width=120, highlight=False),
    )
    watch.begin(Leg([0], 4, 40, 10, "cpu (2 threads)", "bf16 (native)", 269722))
    watch.tick()
    watch.epoch(0, 2, {"train_loss": 1.5, "train_acc": 50.0, "test_acc": 40.0, "lr": 0.1, "images_per_s": 1000.0})
    watch.end(0, RESULT)
    broken = RESULT | {"test_loss": None}
    busy, gone = Busy("seed 3: another process is training it", None), Cancelled("seed 4: is cancelled")
    watch.summary(
        {0: RESULT, 1: Diverged("seed 1: the loss was not finite"), 2: broken, 3: busy, 4: gone}, {0: time.time() - 730}
    )
    watch.close()
    said = written.getvalue()
    for part in (
        "0.27 M parameters",
        "resumed at step 10 of 40",
        "91.23",
        "92.00 (epoch 3)",
        "failed",
        "busy",
        "cancelled",
        "not finite",
        "already done 12 min ago, and not run again: seed 0",
    ):
        assert part in said
    assert "mlflow ui --backend-store-uri sqlite:///m.db" in said
    assert "360 of 360" in said
    if kind is TrialLines:
        assert "epoch 2/4  loss 1.500  train 50.00%  test 40.00%  lr 0.1  1000 img/s  ETA" in said


def test_a_repeated_run_says_that_nothing_was_run() -> None:
    written = io.StringIO()
    watch = TrialLines("baseline", Path("runs/x"), None, Console(file=written, width=120, highlight=False))
    watch.summary({0: RESULT, 1: RESULT}, {0: time.time() - 9000, 1: time.time() - 730})
    assert "already done 12 min ago; nothing was run" in written.getvalue()
    watch.summary({0: RESULT}, {})
    assert written.getvalue().count("already done") == 1
