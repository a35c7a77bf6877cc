"""Cancelling, following and trying again, on files written by hand."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from ablation.store.attempt import CANCEL, Owner
from launch.backends import status_of
from launch.cli import main
from launch.compose.arm import Planned, Work
from launch.compose.paths import ROOT
from launch.status.outcome import Outcome, TrialKey
from launch.status.retry_policy import RESET, Decision
from launch.status.sweep_status import Pending, Trial, narrow_submission, sweep_status
from launch.status.trial_status import TrialStatus
from launch.sweep.submission import Submission, submissions
from launch.terminal import follow as following
from launch.terminal.follow import follow
from launch.workers import local
from launch.workers.driver import DRIVER, driver_record
from tests.launch.handmade import epoch, failed, finish, gone, make, seed_folder, start, stopped, sweep
from tests.launch.test_cli_verbs import asked, said

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def s(tmp_path: Path) -> Submission:
    """Done, running, failed and new."""
    s = sweep(tmp_path, "seeds=2", "aug=mixup", "aug=cutout", name="s")
    finish(seed_folder(s, 0, 0))
    make(seed_folder(s, 0, 1), 1, start(), epoch(1), owner=Owner.here(), beat=0)
    make(seed_folder(s, 1), 1, start(), epoch(1), failed("error"))
    return s


def drive(s: Submission, owner: Owner) -> None:
    trials = [(id_, seed) for id_, p in s.arms.items() for seed in p.seeds]
    (s.folder / DRIVER).write_text(json.dumps({"owner": vars(owner), "trials": trials}))


def kinds(s: Submission) -> list[str]:
    return [t.state.kind for t in status_of([s]).trials]


def test_what_a_living_driver_has_is_queued(s: Submission) -> None:
    assert kinds(s) == ["done", "running", "failed", "new"]
    drive(s, Owner.here())
    assert kinds(s) == ["done", "running", "failed", "queued"]
    drive(s, gone())
    assert kinds(s) == ["done", "running", "failed", "new"]
    (s.folder / DRIVER).write_text("")
    assert kinds(s) == ["done", "running", "failed", "new"]


def test_a_driver_of_some_trials_has_no_others(s: Submission) -> None:
    trials = status_of([s]).trials
    (s.folder / DRIVER).write_text(json.dumps(driver_record(narrow_submission(s, trials[2:3]))))
    assert kinds(s) == ["done", "running", "failed", "new"]
    (s.folder / DRIVER).write_text(json.dumps(driver_record(narrow_submission(s, trials[3:]))))
    assert kinds(s) == ["done", "running", "failed", "queued"]


def test_what_was_killed_and_is_queued_again_has_not_failed(capsys: Capture, s: Submission) -> None:
    make(seed_folder(s, 2), 1, start(), epoch(1))
    assert asked(capsys, s, "status")[1]["trials"][3]["cause"] == "killed"
    drive(s, Owner.here())
    last = asked(capsys, s, "status")[1]["trials"][3]
    assert (last["state"], last["cause"], last["message"]) == ("queued", "", "")
    (group,) = asked(capsys, s, "logs", "--failed")[1]["groups"]
    assert len(group["trials"]) == 1


def test_what_a_person_had_tried_again_has_not_failed(s: Submission) -> None:
    *_, bad, new = [(p.arm.id, seed) for p in s.arms.values() for seed in p.seeds]
    asked_again = {key: Decision(Work(key[0], (key[1],)), RESET, time=time.time()) for key in (bad, new)}

    def states(*awaited: TrialKey) -> list[str]:
        return [t.state.kind for t in sweep_status([s], lambda: Pending({*awaited}, asked_again)).trials[2:]]

    assert states(bad, new) == ["queued", "queued"]
    assert states() == ["failed", "new"]  # and nobody does it


def test_a_student_of_a_teacher_that_will_not_be_is_blocked(s: Submission) -> None:
    done, bad, new = s.arms
    taught = {id_: replace(p, teacher=bad) if id_ == new else p for id_, p in s.arms.items()}
    trials = status_of([replace(s, arms=taught)]).trials
    assert [t.state.kind for t in trials] == ["done", "running", "failed", "blocked"]
    assert f"its teacher {bad}/seed-0 has failed" in trials[-1].state.message
    taught = {id_: replace(p, teacher=done) if id_ == new else p for id_, p in s.arms.items()}
    assert status_of([replace(s, arms=taught)]).trials[-1].state.kind == "new"


def test_a_grid_that_changed_keeps_its_earlier_arms_after_the_new(s: Submission) -> None:
    again = sweep(s.out, "aug=cutout seeds=[0,5]", "optim.lr=0.3", name="s")
    trials = status_of([s, again]).trials
    first, second = again.arms
    assert [(t.planned.arm.id, t.seed) for t in trials][:3] == [(first, 0), (first, 5), (second, 0)]
    assert len(trials) == 6


def test_an_arm_whose_command_gave_another_one_later_is_stale(capsys: Capture, s: Submission) -> None:
    """As if a default had been changed before the same grid was submitted again."""
    again = sweep(s.out, "seeds=2", "aug=mixup", "aug=cutout loss=label_smoothing", name="s")
    cutout = list(s.arms)[2]
    (changed,) = [p for p in again.arms.values() if p.arm.id not in s.arms]
    named = replace(changed, arm=replace(changed.arm, overrides=s.arms[cutout].arm.overrides))
    arms = {p.arm.id: p for p in (*list(again.arms.values())[:2], named)}
    trials = status_of([s, replace(again, arms=arms)]).trials
    assert [t.planned.arm.id for t in trials if t.stale] == [cutout]
    assert "loss._target_ was ablation.loss.ce.ce, is ablation.loss.label_smoothing" in trials[-1].stale
    _forge(again, named)
    _, printed = asked(capsys, s, "status")
    assert [(a["id"], bool(a["stale"])) for a in printed["arms"]][2:] == [(changed.arm.id, False), (cutout, True)]
    assert f"stale: {cutout[:8]}, since its command gives another arm now: loss" in said(capsys, s, "status")[1]


def _forge(submission: Submission, other: Planned) -> None:
    """Write another name of an arm into a submission."""
    path = submission.folder / "arms.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    renamed = [line | {"arm": vars(other.arm)} if line["arm"]["id"] == other.arm.id else line for line in lines]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in renamed))


def test_cancel_marks_all_that_is_not_done(capsys: Capture, s: Submission) -> None:
    code, printed = asked(capsys, s, "cancel")
    assert (code, len(printed["cancelled"]), printed["jobs"]) == (0, 3, [])
    assert not (seed_folder(s, 0, 0) / CANCEL).exists()
    assert kinds(s) == ["done", "running", "cancelled", "cancelled"]
    make(seed_folder(s, 0, 1), 2, start(), stopped("cancelled"))
    assert kinds(s)[1] == "cancelled"


def test_what_failed_before_it_was_cancelled_keeps_its_reason_and_what_failed_while_saving_has_failed(
    capsys: Capture, s: Submission
) -> None:
    said(capsys, s, "cancel", "--yes")
    third = status_of([s]).trials[2].state
    assert (third.kind, third.cause) == ("cancelled", "error")
    assert "1 of 4 trials of s failed" in said(capsys, s, "logs", "--failed")[1]
    saving = {**failed("disk"), "time": time.time() + 1}
    make(seed_folder(s, 0, 1), 2, start(), saving)
    second = status_of([s]).trials[1].state
    assert (second.kind, second.cause) == ("failed", "disk")


def test_cancel_by_filter(capsys: Capture, s: Submission) -> None:
    code, text = said(capsys, s, "cancel", "--state", "new")
    assert (code, text) == (0, "cancelled 1 trial of s: 0 saving, the others will not start\n")
    assert kinds(s) == ["done", "running", "failed", "cancelled"]


def test_retry_does_not_disturb_a_living_driver(capsys: Capture, s: Submission) -> None:
    drive(s, Owner.here())
    code, text = said(capsys, s, "retry", "--state", "failed")
    assert code == 1
    assert "still being run by" in text


def test_retry_of_nothing(capsys: Capture, s: Submission) -> None:
    code, text = said(capsys, s, "retry", "--state", "done")
    assert (code, "nothing to retry" in text) == (0, True)
    assert asked(capsys, s, "retry", "--state", "running")[1]["retried"] == []


def test_ctrl_c_in_one_submission_is_not_followed_by_the_next(
    capsys: Capture, s: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep(s.out, "optim.lr=0.3", "optim.lr=0.4", name="s")
    begun = []

    def stop(_: Submission, trials: Sequence[Trial], __: Console) -> dict[tuple[str, int], Outcome]:
        begun.append(trials)
        return {(t.planned.arm.id, t.seed): Outcome("stopped") for t in trials}

    monkeypatch.setattr(local, "resume", stop)
    assert asked(capsys, s, "retry")[0] == 130
    assert len(begun) == 1


def test_a_part_of_a_submission_has_those_trials_alone(s: Submission) -> None:
    trials = status_of([s]).trials
    first, second, _ = s.arms
    assert narrow_submission(s, trials[1:3]).works == [Work(first, (1,)), Work(second, (0,))]


class Film:
    """How the trials stand, look after look."""

    def __init__(self, s: Submission, *frames: Sequence[TrialStatus]) -> None:
        self.trials, self.frames = status_of([s]).trials, iter(frames)

    def look(self) -> list[Trial]:
        return [t._replace(state=state) for t, state in zip(self.trials, next(self.frames), strict=True)]


@pytest.mark.parametrize("terminal", [False, True])
def test_what_changes_is_told_until_nothing_is_in_flight(
    s: Submission, terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.05)
    monkeypatch.setattr(following, "_TICK", 0.02)
    done, new, queued = TrialStatus("done", test_acc=90.0), TrialStatus("new"), TrialStatus("queued")
    running = [
        TrialStatus("running", attempts=1, epoch=k, test_acc=50.0 + k, owner="process 7 on n1") for k in range(3)
    ]
    film = Film(
        s,
        [done, queued, queued, new],
        [done, running[0], running[1], new],
        [done, running[2], TrialStatus("queued", cause="preempted"), new],
        [done, queued, TrialStatus("queued", cause="preempted"), new],
        [done, TrialStatus("done", test_acc=88.8), TrialStatus("failed", "oom", "no memory"), new],
    )
    written = io.StringIO()
    console = Console(file=written, force_terminal=terminal, width=100, height=30, highlight=False)
    follow(film.look, lambda: True, s, console)
    text = written.getvalue()
    assert "1 of 4 trials are done already" in text
    assert "failed (oom): no memory" in text
    if not terminal:
        assert text.splitlines() == [
            "1 of 4 trials are done already",
            "[1 of 4 done, 1 not started] cutout seed 0: not started",
            "baseline seed 1: running at epoch 0, process 7 on n1",
            "mixup seed 0: running at epoch 1, process 7 on n1",
            "baseline seed 1 epoch 2/3  test 52.00%",
            "mixup seed 0: waits to be tried again (preempted)",
            "baseline seed 1: waits to be tried again",
            "[2 of 4 done, 1 not started] baseline seed 1: done, test 88.80%",
            "[2 of 4 done, 1 failed, 1 not started] mixup seed 0: failed (oom): no memory",
        ]


def test_it_is_not_over_while_failures_are_to_be_judged(s: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.01)
    done, lost = TrialStatus("done", test_acc=90.0), TrialStatus("stopped", "time_limit")
    film = Film(s, [done, done, done, lost], [done, done, done, TrialStatus("queued")], [done] * 4)
    follow(film.look, lambda: False, s, Console(file=io.StringIO()))
    assert next(film.frames, None) is None  # looked to the end


def test_a_failure_that_may_be_tried_again_is_not_told_as_the_end(
    s: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "_POLL_SECONDS", 0.01)
    lost, running = TrialStatus("failed", "node"), TrialStatus("running", attempts=1, owner="process 7 on n1")
    wrong, done = TrialStatus("failed", "error", "no such file"), TrialStatus("done", test_acc=90.0)
    film = Film(
        s, [done, done, lost, wrong], [done, done, lost, wrong], [done, done, running, wrong], [done] * 3 + [wrong]
    )

    def look() -> list[Trial]:
        """The last one was given up."""
        return [t._replace(given_up=t.state == wrong) for t in film.look()]

    written = io.StringIO()
    follow(look, lambda: "running" in written.getvalue(), s, Console(file=written, width=100, highlight=False))
    assert written.getvalue().splitlines() == [
        "2 of 4 trials are done already",
        "mixup seed 0: failed (node); whether it is tried again is decided next",
        "[2 of 4 done, 1 failed] cutout seed 0: failed (error): no such file",
        "mixup seed 0: running at epoch 0, process 7 on n1",
        "[3 of 4 done, 1 failed] mixup seed 0: done, test 90.00%",
    ]


def test_watch_of_what_is_over_is_status(capsys: Capture, s: Submission) -> None:
    make(seed_folder(s, 0, 1), 2, start(), failed("error"))
    code, printed = asked(capsys, s, "watch")
    assert (code, printed["totals"]) == (1, {"done": 1, "new": 1, "failed": 2})
    code, text = said(capsys, s, "watch", "--state", "done")
    assert code == 0
    assert "1 trial: 1 done" in text


def test_a_wrong_sweep_is_2_for_every_verb(capsys: Capture, s: Submission) -> None:
    for verb in ("status", "watch", "cancel", "retry", "sync"):
        assert main([verb, "tt", "--out", str(s.out)]) == 2
        assert "tt: no such sweep" in capsys.readouterr().err


def test_ctrl_c_leaves_and_the_sweep_goes_on(s: Submission) -> None:
    line = [sys.executable, "-m", "launch", "watch", "--out", str(s.out)]
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
        assert watch.stdout is not None
        while "baseline seed 1: running at epoch 1" not in watch.stdout.readline():
            assert watch.poll() is None
        watch.send_signal(signal.SIGINT)
        _, told = watch.communicate(timeout=60)
    assert watch.returncode == 130
    assert told == f"you left, and the sweep goes on; to look again: ablation watch s --out {s.out}\n"
    assert kinds(s) == ["done", "running", "failed", "new"]


def test_retry_trains_here_what_is_not_done_as_it_was_submitted(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    s = sweep(tmp_path, "seeds=2", "aug=mixup", name="again", gpus=[], per_gpu=1, workers=1, retry={})
    make(seed_folder(s, 0, 0), 1, failed("error"))
    (seed_folder(s, 0, 1)).mkdir()
    (seed_folder(s, 0, 1) / CANCEL).touch()
    finish(seed_folder(s, 1))
    assert main(["retry", "--out", str(tmp_path), "--json"]) == 0
    said = capfd.readouterr()
    printed = json.loads(said.out)
    first, _ = s.arms
    assert printed["retried"] == [f"{first}/seed-0", f"{first}/seed-1"]
    assert {o["state"] for o in printed["outcomes"].values()} == {"done"}
    assert "1 of 3 trials are done already" in said.err
    assert "[3 of 3 done]" in said.err, "it counts the whole sweep"
    assert kinds(s) == ["done", "done", "done"]
    assert not (s.folder / DRIVER).exists()
    assert len(submissions(tmp_path)) == 1  # no new submission
