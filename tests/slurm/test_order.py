"""What waits for something else: students for their teachers, all for a canary."""

from __future__ import annotations

from pathlib import Path

import pytest
from slurm.cluster import Cluster, until
from slurm.lab import Lab, attempts, check, rounds

from launch.slurm.rounds import make_round

STUDENT = ("loss=distill", "teacher=same")


def test_students_wait_for_their_teachers(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    submission, report = lab.submit(lab.arms(1, *STUDENT, "rounds=2"))
    assert (report.in_queue, len(report.jobs)) == (3, 3)
    assert len([what for what in cluster.queue("%E") if what.startswith("afterany:")]) == 2
    assert rounds(submission)[-1].done == 3
    assert attempts(submission) == [1, 1, 1]
    check(submission)


@pytest.mark.slow
def test_the_students_of_a_teacher_that_failed_are_blocked(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("error")
    submission, _ = lab.submit(lab.arms(1, *STUDENT))
    teacher, student = (work.label for work in submission.works)
    last = rounds(submission)[-1]
    assert last.given_up[teacher].startswith("error: ")
    assert last.given_up[student] == "blocked: its teacher is given up"
    assert attempts(submission) == [1, 0]
    lab.brake(None)
    make_round(submission.folder, again=[teacher, student])
    assert rounds(submission)[-1].done == 2


@pytest.mark.slow
def test_a_canary_that_fails_holds_the_rest(cluster: Cluster, tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.brake("error")
    submission, report = lab.submit(lab.arms(2), canary=True)
    assert (report.in_queue, len(report.jobs)) == (2, 2)
    assert len([what for what in cluster.queue("%E") if what.startswith("afterok:")]) == 2
    until(lambda: not cluster.queue(), "SLURM to give the rest up")
    last = make_round(submission.folder)
    assert (last.over, len(last.given_up)) == (True, 2)
    assert all("canary failed" in why and "the trick is broken" in why for why in last.given_up.values())
    assert attempts(submission) == [0, 0]
    lab.brake(None)
    assert len(make_round(submission.folder, again=list(last.given_up)).jobs) == 2
    assert rounds(submission)[-1].done == 2
    check(submission)
