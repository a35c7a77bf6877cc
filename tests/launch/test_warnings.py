"""What would mislead whoever reads the numbers is a note before anything is trained."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ablation.sched._end import ending
from ablation.sched.constant import constant
from ablation.sched.cosine import cosine
from ablation.sched.exponential import exponential
from ablation.sched.multistep import multistep
from ablation.types import Schedule
from launch import plan
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.warnings import sweep_notes

RESTARTS = """
import math

def restarts(epochs, lr, cycle=10):
    return {"lr": lambda t: (1 + math.cos(math.pi * (t * epochs % cycle) / cycle)) / 2}
"""


def restarts(epochs: int, cycle: float, factor: float = 1, decay: float = 1, floor: float = 0) -> Schedule:
    """Cosines one after the other, each `factor` as long and `decay` as high as the one before."""

    def schedule(t: float) -> float:
        epoch, length, top = t * epochs, cycle, 1.0
        while epoch >= length:
            epoch, length, top = epoch - length, length * factor, top * decay
        return floor + (top - floor) * (1 + math.cos(math.pi * epoch / length)) / 2

    return schedule


def planned(*rows: list[str], search: tuple[str, ...] = ()) -> list[Planned]:
    with initialized():
        return compose_arms(rows, search)


@pytest.mark.parametrize(
    "schedule",
    [
        constant(20, 0.1)["lr"],
        constant(20, 0.1, warmup=5)["lr"],
        cosine(20, 0.1, warmup=2, warmup_kind="exponential", warmup_start=1e-5)["lr"],
        cosine(20, 0.1, eta=0.02)["lr"],
        multistep(20, 0.1, warmup=2)["lr"],
        restarts(150, 10, 2),
        restarts(190, 40, 1.5, floor=0.1),
        restarts(200, 10, decay=0.8),
        lambda t: math.exp(10 * t - 10),  # a range test
        lambda t: min(t / 0.45, (1 - t) / 0.55),  # one cycle
    ],
)
def test_a_run_that_ends_low_or_was_never_low_is_fine(schedule: Schedule) -> None:
    assert ending(schedule, 200) == []


@pytest.mark.parametrize(
    ("schedule", "epochs", "ends", "was", "epoch"),
    [
        (restarts(200, 10, 2), 200, "78 %", "0.0015 %", 150),  # cos(pi 50/160): 50 of the next cycle's 160 epochs
        (restarts(45, 10, decay=0.5), 45, "3.2 %", "0.00049 %", 40),
        (restarts(190, 40, floor=0.25), 190, "36 %", "25 %", 80),
        (lambda t: abs(6 * t % 2 - 1), 60, "99 %", "0 %", 31),
    ],
)
def test_a_run_that_ends_inside_a_cycle_is_noted(
    schedule: Schedule, epochs: int, ends: str, was: str, epoch: int
) -> None:
    (note,) = ending(schedule, epochs)
    assert note.startswith(
        f"the learning rate ends at {ends} of its peak, after having been at {was} in epoch {epoch} "
    )
    assert "the run ends inside a cycle" in note


def test_a_warm_up_made_for_a_longer_run_is_noted() -> None:
    (note,) = ending(cosine(12, 0.1, warmup=10)["lr"], 12)
    assert note.startswith("the learning rate reaches its peak only in epoch 11 of 12")


def test_an_epoch_at_rate_0_is_noted() -> None:
    held = cosine(20, 0.1, warmup=5, warmup_per="epoch")["lr"]
    assert ending(held, 20) == [
        "the learning rate is 0 in all of epoch 1 of 20: 0.05 of the training changes nothing; a warm-up from 0 that "
        "is held within epochs begins so: set sched.warmup_start, or sched.warmup_per=iteration"
    ]
    assert ending(cosine(20, 0.1, warmup=5, warmup_per="epoch", warmup_start=1e-5)["lr"], 20) == []
    assert ending(cosine(20, 0.1, warmup=5)["lr"], 20) == [], "one step at 0"
    for epochs in (2, 3, 7, 200):
        short = cosine(epochs, 0.1, warmup=1, warmup_per="epoch")["lr"]
        assert any(f"in all of epoch 1 of {epochs}" in note for note in ending(short, epochs))
    steep = exponential(20, 0.1, gamma=1e-5)["lr"]
    assert ending(steep, 20) == [
        "the learning rate is 0 in all of epochs 3, 4, 5, 6, 7 and 13 more of 20: 0.9 of the training changes nothing"
    ]
    (note,) = ending(lambda t: float(t < 0.9), 10)
    assert note.startswith("the learning rate is 0 in all of epoch 10 of 10: 0.1 of the training changes nothing")
    arms = planned(["sched=cosine", "sched.warmup=5", "sched.warmup_per=epoch"])
    assert [n for n in arms[0].notes if "in all of epoch 1 of 20" in n], "before anything is trained"


def test_a_schedule_of_ones_own_is_looked_at_before_it_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sched").mkdir()
    (tmp_path / "restarts_of_mine.py").write_text(RESTARTS)
    (tmp_path / "sched" / "restarts.yaml").write_text("_target_: restarts_of_mine.restarts\ncycle: 10\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    rows = [[f"epochs={n}", "sched=restarts", f"out={tmp_path}/out"] for n in (20, 24, 30)]
    arms = planned(*rows, search=(f"hydra.searchpath=[file://{tmp_path}]",))
    assert [len(p.notes) for p in arms] == [0, 1, 0]
    (note,) = plan.make_plan(arms, "the command").notes
    assert note.startswith("epochs=24: the learning rate ends at 66 % of its peak")
    assert not (tmp_path / "out").exists()


def test_a_part_of_the_test_set_and_different_parts_are_noted() -> None:
    rows = [["data.test_subset=first:0.3"], ["data.test_subset=first:0.3", "data.split_seed=1"], ["aug=mixup"]]
    first, *others = notes = sweep_notes(planned(*rows))
    said = "test accuracy is on a part of the test set only: 30 % of the images, the first in file order"
    assert said in first, "of both arms"
    assert first.count("test_subset=") == 3
    assert len(others) == 1, notes
    assert "and mixup are measured on different test images" in others[0]
    drawn = [["data.test_subset=100"], ["data.test_subset=100", "data.split_seed=1"]]
    assert "only: 100 images, drawn from each class" in sweep_notes(planned(*drawn))[0]
    assert "do not compare" in sweep_notes(planned(*drawn))[1]
    assert sweep_notes(planned([], ["aug=mixup"], ["data.val=0.1"])) == []


def test_rows_of_one_arm_are_named() -> None:
    arms = planned([], ["aug=cutout"], ["aug=cutout", "aug.cutout.size=16"], ["aug=cutout"], ["aug=mixup"])
    assert sweep_notes(arms) == [
        "aug.cutout.size=16,aug=cutout is the same arm as aug=cutout: its trials are run once",
        "aug=cutout is asked for by 2 rows: its trials are run once",
    ]
