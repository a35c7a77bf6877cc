"""The state of a trial is what its files say, however it was left."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ablation.store.attempt import CANCEL, Owner
from ablation.store.journal import JOURNAL, Event
from launch.status.trial_status import format_ago, of
from tests.launch.handmade import elsewhere, epoch, failed, finish, make, saved, start, stopped


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    return tmp_path / "seed-0"


def test_nothing_there_is_new(seed: Path) -> None:
    assert of(seed).kind == "new"
    seed.mkdir()
    assert of(seed).kind == "new"


def test_done(seed: Path) -> None:
    make(seed, 1, start(), epoch(1), stopped())
    make(seed, 2, start(10))
    finish(seed, 2, test_acc=91.5, seconds=12.5)
    state = of(seed)
    assert (state.kind, state.epoch, state.attempts, state.test_acc, state.seconds) == ("done", 3, 2, 91.5, 12.5)


def test_its_attempts_are_as_many_as_before_it_was_done(seed: Path) -> None:
    """The first died after it had claimed the trial, before it wrote a line."""
    make(seed, 1)
    make(seed, 2, start(), owner=Owner.here(), beat=0)
    assert (of(seed).kind, of(seed).attempts) == ("running", 2)
    finish(seed, 2, attempts=1)
    assert (of(seed).kind, of(seed).attempts) == ("done", 2)


def test_a_result_that_a_later_attempt_replaces_does_not_count(seed: Path) -> None:
    make(seed, 1, start())
    finish(seed, 1)
    make(seed, 2, start(), owner=Owner.here(), beat=0)
    assert of(seed).kind == "running"


@pytest.mark.parametrize(
    ("last", "kind", "cause"),
    [
        (failed("oom"), "failed", "oom"),
        (failed("diverged"), "failed", "diverged"),
        (stopped("asked"), "stopped", "asked"),
        (stopped("cancelled"), "cancelled", ""),
        (saved(10), "stopped", "killed"),
    ],
)
def test_an_attempt_that_ended(seed: Path, last: Event, kind: str, cause: str) -> None:
    make(seed, 1, start(), epoch(1, acc=40.0), last)
    state = of(seed)
    assert (state.kind, state.cause, state.epoch, state.test_acc) == (kind, cause, 1, 40.0)


def test_running_here_and_elsewhere(seed: Path, tmp_path: Path) -> None:
    make(seed, 1, start(), epoch(2), owner=Owner.here(), beat=1000)  # seen to run, however old its heartbeat
    assert of(seed, lease=60).kind == "running"
    other = tmp_path / "seed-1"
    make(other, 1, start(), epoch(2), owner=elsewhere(), beat=5)
    assert of(other, lease=60).kind == "running"
    assert "SLURM job 12_3" in of(other, lease=60).owner
    assert of(other, lease=2).kind == "stopped"
    assert of(other, lease=2).cause == "killed"


def test_killed_here_is_known_at_once(seed: Path) -> None:
    make(seed, 1, start(), beat=0)  # its heartbeat is fresh, but there is no such process
    state = of(seed)
    assert (state.kind, state.cause) == ("stopped", "killed")
    assert "died without an error" in state.message


def test_cancelled_by_its_marker(seed: Path) -> None:
    seed.mkdir()
    (seed / CANCEL).touch()
    assert of(seed).kind == "cancelled"
    make(seed, 1, start(), owner=Owner.here(), beat=0)
    assert (of(seed).kind, of(seed).message) == ("running", "is being cancelled")
    make(seed, 2, start())
    assert (of(seed).kind, of(seed).cause) == ("cancelled", "killed")
    make(seed, 3, start(), failed("oom"))  # long before
    assert (of(seed).kind, of(seed).cause) == ("cancelled", "oom")
    make(seed, 4, start(), {**failed("oom"), "time": time.time() + 1})  # while it saved
    assert (of(seed).kind, of(seed).cause) == ("failed", "oom")
    finish(seed, 4)
    assert of(seed).kind == "done"


def test_progress_counts_what_no_later_start_takes_back(seed: Path) -> None:
    make(seed, 1, start(), epoch(1, 10.0), epoch(2, 20.0), epoch(3, 30.0))
    make(seed, 2, start(20))
    make(seed, 3, start(20), owner=Owner.here(), beat=0)
    state = of(seed)
    assert (state.kind, state.attempts, state.epoch, state.step, state.test_acc) == ("running", 3, 2, 20, 20.0)
    assert state.seconds is None, "what a result has not said yet is not something else"
    make(seed, 4, start(0), owner=Owner.here(), beat=0)
    assert (of(seed).epoch, of(seed).test_acc) == (0, None)


def test_only_the_end_of_a_long_journal_is_read(seed: Path) -> None:
    folder = make(seed, 1, start(), *[epoch(k) for k in range(1, 5000)], failed("oom", trace="x" * 8000))
    assert (folder / JOURNAL).stat().st_size > 2**18
    state = of(seed)
    assert (state.kind, state.cause, state.epoch) == ("failed", "oom", 4999)


def test_a_torn_journal_counts_as_far_as_it_goes(seed: Path) -> None:
    folder = make(seed, 1, start(), epoch(2))
    with (folder / JOURNAL).open("a") as file:
        file.write('{"event": "epo')
    assert (of(seed).kind, of(seed).epoch) == ("stopped", 2)
    (folder / JOURNAL).write_text("")
    assert (of(seed).kind, of(seed).epoch) == ("stopped", 0)
    (folder / JOURNAL).unlink()
    (folder / "owner.json").write_text("")
    assert of(seed).kind == "stopped"


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"attempt": 1'])
def test_a_damaged_result_is_told(seed: Path, text: str) -> None:
    make(seed, 1, start())
    (seed / "result.json").write_text(text)
    state = of(seed)
    assert (state.kind, state.cause) == ("failed", "damaged")
    assert str(seed) in state.message


def test_what_was_done_after_the_clock_was_set_back_is_still_to_come() -> None:
    now = time.time()
    assert format_ago([now - 7500, now - 720]) == "12 min ago"
    assert format_ago([now + 30]) == "0 s ago"  # as between two machines
    assert format_ago([now + 3.01 * 3600]) == "3 h from now, by this machine's clock"
