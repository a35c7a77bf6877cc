"""A few real steps of students and of tricks that misbehave."""

from __future__ import annotations

from pathlib import Path

import pytest

from ablation.errors import Stopped
from ablation.trial import run
from ablation.trial.parts import parts
from launch import plan
from launch.checks import canary
from launch.checks.cost import Cost
from launch.checks.probe import probe
from launch.workers.trainer import Reporter
from tests.launch.workshop import mischief, submission, tricks


def test_a_student_is_tried_once_its_teacher_is_done(tmp_path: Path) -> None:
    made = submission(tmp_path, ["loss=distill", "teacher=same", "epochs=1"])
    teacher, student = made.works
    planned = made.arms[student.id]
    assert canary.works_to_probe(made) == [teacher]
    assert "is not done" in str(probe(planned))
    config, folder = made.arms[teacher.id].config, tmp_path / teacher.id
    run.run(config, parts(config), folder, Reporter(teacher, lambda _: None))
    assert canary.works_to_probe(made) == [student]
    before = sorted(tmp_path.rglob("*"))
    assert isinstance(probe(planned), Cost)
    assert sorted(tmp_path.rglob("*")) == before
    assert isinstance(probe(made.arms[teacher.id]), Cost)


def test_asked_to_stop_it_stops(tmp_path: Path) -> None:
    made = submission(tmp_path, [])
    with pytest.raises(Stopped):
        probe(made.arms[made.works[0].id], lambda: True)


@pytest.mark.parametrize("how", ["raise", "memory", "leave"])
def test_what_a_trick_raises_is_a_note_of_the_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.syspath_prepend(str(tricks(tmp_path / "mine")))
    made = submission(tmp_path / "out", mischief(how), ["aug=cutout"])
    report = plan.make_plan(list(made.arms.values()), "the command", timed=True)
    said = {"raise": "RuntimeError: it broke at 17", "memory": "MemoryError", "leave": "SystemExit: I leave"}[how]
    assert any(f"could not be timed: {said}" in note for note in report.notes), report.notes
    assert [arm.cost is None for arm in report.arms] == [True, False]
