"""The journal: whole lines or none, and what holds after any number of attempts."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ablation.store.journal import Event, Journal, history, read, seconds_between, settled


def start(step: int) -> Event:
    return {"event": "start", "step": step}


def epoch(step: int) -> Event:
    return {"event": "epoch", "epoch": step, "step": step}


def saved(step: int) -> Event:
    return {"event": "saved", "step": step}


def steps(events: list[Event]) -> list[int]:
    return [e["step"] for e in events]


def test_reads_what_was_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a" / "journal.jsonl")
    written = [journal.write("start", attempt=1, step=0), journal.write("epoch", epoch=1, metrics={"loss": 0.1})]
    assert read(journal.path) == written
    assert read(tmp_path / "none") == []
    journal.close()


@given(cut=st.integers(0, 200))
def test_a_kill_tears_the_last_line_at_most(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    path = tmp_path_factory.mktemp("torn") / "journal.jsonl"
    journal = Journal(path)
    before = [journal.write("epoch", epoch=k) for k in range(3)]
    journal.close()
    whole = path.read_bytes()
    torn = whole[: len(whole) - min(cut, len(whole))]
    path.write_bytes(torn)
    resumed = Journal(path)
    after = resumed.write("start", attempt=2, step=0)
    resumed.close()
    complete = [e for k, e in enumerate(before) if len(torn) >= len(b"\n".join(whole.split(b"\n")[: k + 1]))]
    assert read(path) == [*complete, after]


def test_a_full_disk_is_an_error_and_spoils_no_later_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    first = journal.write("start", step=0)
    write = os.write

    def partial(file: int, data: Any) -> int:
        return write(file, data[:10])

    with monkeypatch.context() as full:
        full.setattr(os, "write", partial)
        with pytest.raises(OSError, match="No space left"):
            journal.write("epoch", epoch=1)
    last = journal.write("failed", cause="disk")
    assert read(journal.path) == [first, last]
    journal.close()


def test_a_resume_takes_back_what_no_checkpoint_held() -> None:
    events = [start(0), epoch(1), saved(1), epoch(2), epoch(3), start(1), epoch(2)]
    assert steps(history(events)) == [1, 2]
    assert steps(settled(events)) == [1]


def test_the_end_settles_everything() -> None:
    assert steps(settled([start(0), epoch(1), epoch(2), {"event": "done"}])) == [1, 2]


def test_a_start_tells_of_a_checkpoint_whose_line_was_lost() -> None:
    assert steps(settled([start(0), epoch(1), epoch(2), start(2)])) == [1, 2]


def test_a_lost_checkpoint_unsettles_what_it_covered() -> None:
    events = [start(0), epoch(1), epoch(2), saved(2), start(0), epoch(1)]
    assert settled(events) == []
    assert steps(settled([*events, saved(1)])) == [1]


@given(st.lists(st.sampled_from(["epoch", "save", "kill", "lose"]), max_size=40))
def test_history_is_what_the_last_line_of_attempts_trained(actions: list[str]) -> None:
    """Against a model: a trial with a step, a checkpoint, and the epochs behind them."""
    events, now, checkpoint = [start(0)], 0, 0
    for action in actions:
        if action == "epoch":
            now += 1
            events.append(epoch(now))
        elif action == "save":
            checkpoint = now
            events.append(saved(now))
        else:
            now = checkpoint = checkpoint if action == "kill" else 0
            events.append(start(now))
    assert steps(history(events)) == list(range(1, now + 1))
    assert steps(settled(events)) == list(range(1, checkpoint + 1))


@pytest.mark.parametrize("hours", [-3, 3])
def test_how_long_it_took_is_right_though_the_clock_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    first = journal.write("start", step=0)
    set_to = time.time() + 3600 * hours
    monkeypatch.setattr(time, "time", lambda: set_to)
    time.sleep(0.05)
    last = journal.write("done")
    journal.close()
    assert last["time"] == round(set_to, 3)
    assert 0.05 <= seconds_between(first, last) < 60
    old = [{k: v for k, v in e.items() if k != "elapsed"} for e in (first, last)]
    assert seconds_between(*old) == pytest.approx(max(0, 3600 * hours), abs=60)
