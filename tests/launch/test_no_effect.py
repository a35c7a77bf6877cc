"""Switches that change nothing are found by real steps of real processes before anything is launched."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ablation.errors import ConfigError
from launch import plan
from launch.checks import no_effect
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import short_names
from tests.launch.workshop import BASE, ROOT, mischief, tricks

CLIP = "regularizer.clip.max_norm"
SAME = {  # overrides -> what is said of them
    "aug=cutout aug.cutout.size=0": "a switch that changes nothing?",
    "aug=mixup aug.mixup.alpha=0": "a switch that changes nothing?",
    "regularizer=dropout regularizer.dropout.p=0 regularizer.dropout.place=features": "a switch that changes nothing?",
    "regularizer=stochastic_depth regularizer.stochastic_depth.last_survival=1": "a switch that changes nothing?",
    "regularizer=ema regularizer.ema.decay=0": "a switch that changes nothing?",
    "sched.warmup_start=0.01": "a switch that changes nothing?",
    "loss=label_smoothing loss.eps=0": "a switch that changes nothing?",
    f"regularizer=clip {CLIP}=1000": f"perhaps {CLIP} never acts, or only later",
    "diverged=continue": "perhaps diverged never acts, or only later",
}
OTHER = (
    "aug=cutout aug.cutout.size=4",
    "regularizer=ema",
    "sched.milestones=[0.5,0.9]",
    "epochs=4",
    "optim.weight_decay=0",
    "loss=label_smoothing loss.eps=1e-6",
    "data.test_subset=30",
)
TAUGHT = ("loss=distill teacher=same", "loss=distill teacher=same aug=mixup aug.mixup.alpha=0")


def planned(out: Path, *rows: list[str]) -> list[Planned]:
    with initialized():
        return compose_arms([[*BASE, *row, f"out={out}"] for row in rows])


class Found(NamedTuple):
    dead: tuple[str, ...]
    remarks: tuple[str, ...]
    short: dict[str, str]  # row -> the short name of its arm


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    out = tmp_path_factory.mktemp("dead") / "out"
    arms = planned(out, [], *(row.split() for row in (*SAME, *OTHER, *TAUGHT)))
    told = no_effect.check(arms, no_effect.Budget(300.0))
    assert not out.exists(), "nothing is written"
    _, short = short_names({p.arm.id: p.arm.name for p in arms})
    rows = {p.arm.id: " ".join(o for o in p.arm.overrides if o not in (*BASE, f"out={out}")) for p in arms}
    return Found(told.dead, told.remarks, {row: short[id_] for id_, row in rows.items()})


def test_every_dead_switch_is_named_with_the_arm_that_it_equals(found: Found) -> None:
    for row, said in SAME.items():
        assert f"{found.short[row]} trains exactly as {found.short['']} in the steps that were tried" in (
            note.partition(": ")[0] for note in found.dead if note.endswith(said)
        ), (row, found.dead)


def test_a_student_whose_teacher_is_the_same_is_the_same(found: Found) -> None:
    first, second = (found.short[row] for row in TAUGHT)
    assert [note for note in found.dead if note.startswith(f"{second} trains exactly as {first} ")]


def test_no_other_arm_is_named(found: Found) -> None:
    assert len(found.dead) == len(SAME) + 1, found.dead  # the student; its teacher is an arm above
    assert "what was compared: images, augmented batches" in found.remarks[0]
    assert len(found.remarks) == 1


def test_parameters_that_never_have_a_gradient_are_told(tmp_path: Path) -> None:
    """As in the lab's notes: the norm before a pre-activation branch's last convolution stays at 0."""
    rows = [["model.preact=true"], ["model.preact=true", "init=zero_gamma", "init.zero_gamma.preact=norm"]]
    told = no_effect.check(planned(tmp_path, *rows), no_effect.Budget(300.0))
    (note,) = (note for note in told.remarks if "no gradient reaches" in note)
    assert note.startswith("zero_gamma preact=norm: no gradient reaches these parameters in the steps")
    assert "12 of 23: model.blocks.0.branch." in note


def test_what_breaks_a_process_leaves_the_other_arms_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tricks(tmp_path / "mine")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    rows = [mischief("exit"), mischief("raise"), ["aug=mixup"], ["batch_size=17"], ["aug=mixup", "diverged=continue"]]
    (note, *_), remarks = (
        (told := no_effect.check(planned(tmp_path / "out", *rows), no_effect.Budget(300.0))).dead,
        told.remarks,
    )
    assert "mixup diverged=continue batch_size=8 trains exactly as mixup batch_size=8" in note
    assert "could not be checked for dead switches: its process ended with exit code 3" in remarks[0]
    assert "could not be checked for dead switches: RuntimeError: it broke at 17" in remarks[1]
    assert "batch_size=17 could not be checked for dead switches: ConfigError: batch_size=17: there are" in remarks[2]


def test_when_time_is_up_the_rest_is_said_to_be_unchecked(tmp_path: Path) -> None:
    arms, began = planned(tmp_path, [], ["aug=mixup"]), time.monotonic()
    told = no_effect.check(arms, no_effect.Budget(0.3))
    assert time.monotonic() - began < 60, "on a busy machine; it ends its process, however busy"
    assert told.dead == ()
    assert told.remarks == (
        "2 of 2 arms are not checked for dead switches, since the 0.3 s for it are over; hydra.launcher.check=300 "
        "gives it more time",
    )


@pytest.mark.parametrize(
    ("value", "budget"),
    [
        ("auto", no_effect.Budget(10.0, auto=True)),
        (True, no_effect.Budget(60.0)),
        (False, no_effect.NO_CHECK),
        ("strict", no_effect.Budget(60.0, strict=True)),
        (300, no_effect.Budget(300.0)),
    ],
)
def test_the_option(value: Any, budget: no_effect.Budget) -> None:
    assert no_effect.read({"check": value}) == budget


@pytest.mark.parametrize("value", ["yes", -1, None, 0])
def test_an_impossible_option_is_refused(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.check=.*give auto, true, false, strict"):
        no_effect.read({"check": value})


def test_auto_is_for_new_grids_that_are_worth_it(tmp_path: Path) -> None:
    auto = no_effect.Budget(10.0, auto=True)
    long = planned(tmp_path, ["epochs=20", "seeds=3"], ["aug=mixup", "epochs=20", "seeds=3"])
    assert no_effect.is_wanted(long, auto)
    assert not no_effect.is_wanted(long[:1], auto), "nothing to compare with"
    assert not no_effect.is_wanted(planned(tmp_path, [], ["aug=mixup"]), auto), "over in a moment"
    assert not no_effect.is_wanted(long * 20, auto), "too many"
    (tmp_path / long[0].arm.id / "seed-0" / "attempt-1").mkdir(parents=True)
    assert not no_effect.is_wanted(long, auto), "begun before"
    assert no_effect.is_wanted(long, no_effect.Budget(60.0))
    assert not no_effect.is_wanted(long, no_effect.NO_CHECK)
    assert no_effect.check(long, auto) == no_effect.NOT_CHECKED


def test_strict_refuses_and_starts_nothing_and_a_plan_tells(tmp_path: Path) -> None:
    out = tmp_path / "out"
    grid = ['++hydra.sweeper.rows=["","aug=cutout aug.cutout.size=0"]', "hydra.launcher.check=strict", f"out={out}"]
    line = [sys.executable, "launch/run.py", "-m", *BASE, *grid]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2, done.stderr
    assert "hydra.launcher.check=strict: nothing was started:" in done.stderr
    assert "cutout size=0 trains exactly as baseline" in done.stderr
    assert not out.exists()
    report = plan.make_plan(planned(out, [], ["aug=cutout", "aug.cutout.size=0"]), "x", budget=no_effect.Budget(300.0))
    assert any("trains exactly as baseline" in note for note in report.notes)
