"""Every published row with warm restarts: its cycles end where the notes' arithmetic says."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tiny import CONF, config

from ablation.build import build
from ablation.contract.schedules import SCHEDULE, check_schedules
from ablation.contract.subject import Subject
from ablation.errors import ConfigError
from ablation.sched._end import ending
from ablation.sched.sgdr import sgdr

PER_EPOCH = 195  # whole batches of 256 in CIFAR-10's 50000 images
# Epochs after which cycles end, the 10 of warm-up included.
ENDS: dict[str, list[float]] = {
    "cosine, 200 epochs": [200],
    "len 10, mult 2, 200 epochs": [20, 40, 80, 160],
    "len 10, mult 2, 160 epochs": [20, 40, 80, 160],
    "len 150, 160 epochs": [160],
    "len 38, 200 epochs": [48, 86, 124, 162, 200],
    "len 10 iterations, mult 2, by iteration": [10 + 10 * (2**n - 1) / PER_EPOCH for n in range(1, 12)],
    "len 10, mult 2, 200 epochs, by iteration": [20, 40, 80, 160],
    "len 10, mult 2, 160 epochs, by iteration": [20, 40, 80, 160],
    "len 10, mult 2, 320 epochs": [20, 40, 80, 160, 320],
    "len 310, 320 epochs": [320],
    "len 40, mult 1.5, 200 epochs": [50, 110, 200],
    "len 40, mult 1.5": [50, 110, 200],
    "len 40, mult 1.5, decay 0.7": [50, 110, 200],
    "len 40, mult 1.5, decay 0.5": [50, 110, 200],
}
PEAKS = {"len 40, mult 1.5, decay 0.7": 0.7, "len 40, mult 1.5, decay 0.5": 0.5}


def rows() -> list[tuple[list[str], dict[str, Any]]]:
    """What all rows of a table set, and the row."""
    tables = [yaml.safe_load((CONF / "table" / "lab" / f"{name}.yaml").read_text()) for name in ("sgdr", "sgdr_decay")]
    return [([f"{k}={v}" for k, v in t["params"].items()], row) for t in tables for row in t["rows"]]


@pytest.mark.parametrize(("common", "row"), rows(), ids=lambda v: v["label"] if isinstance(v, dict) else "")
def test_cycles_end_where_they_should(common: list[str], row: dict[str, Any]) -> None:
    own = row["overrides"].split()
    replaced = {text.partition("=")[0] for text in own}
    settled = config(*(text for text in common if text.partition("=")[0] not in replaced), *own)
    epochs, lr = settled["epochs"], settled["optim"]["lr"]
    counted = {} if "sched=cosine" in own else {"steps_per_epoch": PER_EPOCH}
    f = build(settled["sched"], "sched", epochs=epochs, lr=lr, **counted)["lr"]
    rates = [lr * f(i / (epochs * PER_EPOCH)) for i in range(epochs * PER_EPOCH)]
    restarts = [i for i in range(10 * PER_EPOCH + 1, len(rates)) if rates[i] > rates[i - 1]]
    expected = ENDS[row["label"]]
    assert [i / PER_EPOCH for i in restarts] == pytest.approx([end for end in expected if end < epochs])
    peak = PEAKS.get(row["label"], 1)
    assert [rates[i] for i in restarts] == pytest.approx([lr * peak ** (n + 1) for n in range(len(restarts))])
    # Of the row in iterations nine per cent of the peak are left, which is low enough to go without a warning.
    assert ("cut-cycle" in row.get("flags", ())) == any("inside a cycle" in note for note in ending(f, epochs))
    assert (rates[-1] < 0.002 * lr) == (expected[-1] == epochs)


def test_nobody_asks_for_cycles_of_steps_before_they_are_counted() -> None:
    """A schedule that counts steps is checked before there are data; it never silently is another one."""
    node = config("sched=sgdr", "sched.unit=iteration")["sched"]
    f = build(node, "sched", epochs=10, lr=0.1)["lr"]
    with pytest.raises(LookupError, match="how many steps"):
        f(0.5)
    assert ending(f, 10) == []


def test_cycles_counted_in_iterations_are_checked_once_the_steps_are_known() -> None:
    """Before the images are there nobody knows how many steps an epoch has, which is no fault of the configuration."""
    subject = Subject("sched", "ablation.sched.sgdr.sgdr", SCHEDULE)
    check_schedules(subject, sgdr(epochs=2, lr=0.1, len=10, unit="iteration"))
    check_schedules(subject, sgdr(epochs=2, lr=0.1, len=10, unit="iteration", steps_per_epoch=20))

    def other(t: float) -> float:
        raise LookupError

    with pytest.raises(ConfigError, match="raised LookupError"):
        check_schedules(subject, {"lr": other})
