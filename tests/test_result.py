"""A result counts if who wrote it still held the seed; a damaged one is told."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from holders import foreign, process, said

from ablation.errors import AblationError
from ablation.store.attempt import Fenced, folder, numbers
from ablation.store.claim import Finished, claim
from ablation.store.result import Damaged, finished, look, write


def test_a_result_counts_unless_there_is_a_later_attempt(tmp_path: Path) -> None:
    assert finished(tmp_path) is None
    with claim(tmp_path, lease=60) as attempt:
        write(attempt, {"attempt": 1, "test_acc": 1.0})
        assert finished(tmp_path) == {"attempt": 1, "test_acc": 1.0}
        assert not (attempt.folder / "result.json").exists()
    with pytest.raises(Finished), claim(tmp_path, lease=60):
        pass
    folder(tmp_path, 2).mkdir()
    assert finished(tmp_path) is None
    with claim(tmp_path, lease=60) as attempt:
        write(attempt, {"attempt": 3, "test_acc": 2.0})
    assert finished(tmp_path) == {"attempt": 3, "test_acc": 2.0}


def test_a_result_from_before_there_were_attempts_counts(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"test_acc": 1.0}')
    folder(tmp_path, 1).mkdir()
    assert finished(tmp_path) == {"test_acc": 1.0}


@pytest.mark.parametrize(
    "text", ["", '{"test_acc": 1.0, "att', "[]", "3", "{}", '{"attempt": null, "test_acc": 1.0}', "\xff"]
)
def test_a_damaged_result_is_told_with_the_way_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(Damaged, match=r"result.json: is damaged \(.+\); delete it: the trial ends again") as told:
        finished(tmp_path)
    assert isinstance(look(tmp_path), Damaged)
    with pytest.raises(Damaged, match="delete it"), claim(tmp_path, lease=60):
        pass
    assert numbers(tmp_path) == []
    assert isinstance(told.value, AblationError)


def test_whoever_was_superseded_may_write_nothing(tmp_path: Path) -> None:
    with claim(tmp_path, lease=0.06) as attempt:
        attempt.check()
        foreign(tmp_path)
        with pytest.raises(Fenced, match=r"attempt-1: lost to attempt 2, of process \d+ on elsewhere"):
            attempt.check()
        (attempt.folder / "beat").unlink()  # as whoever claims does
        deadline = time.monotonic() + 20
        while not attempt.lost:  # noticed by the heartbeat, should nothing be written for long
            assert time.monotonic() < deadline
        with pytest.raises(Fenced):
            write(attempt, {"test_acc": 1.0})
        assert not (tmp_path / "result.json").exists()


SLEEPER = """
import os, signal, sys
from pathlib import Path
from ablation.store.attempt import Fenced
from ablation.store.claim import claim
from ablation.store.result import write

act = {name: getattr(os, name) for name in ("link", "replace", "rename")}

def asleep(name):
    def call(source, target, *rest, **others):  # the last moment before the result is there
        if str(target) == str(Path(sys.argv[1]) / "result.json"):
            os.kill(os.getpid(), signal.SIGSTOP)
        return act[name](source, target, *rest, **others)
    return call

with claim(Path(sys.argv[1]), lease=60) as attempt:
    for name in act:
        setattr(os, name, asleep(name))
    try:
        write(attempt, {"attempt": attempt.number, "test_acc": 1.0})
        print("written")
    except Fenced as e:
        print(f"fenced: {e}")
"""


@pytest.mark.parametrize("over", [True, False])
def test_who_slept_while_it_wrote_its_result_does_not_hide_another_s(tmp_path: Path, over: bool) -> None:
    """Suspended after its last look, until another process was given the seed, and has ended it or not yet."""
    with process(SLEEPER, tmp_path) as sleeper:
        while not os.WIFSTOPPED(os.waitpid(sleeper.pid, os.WNOHANG | os.WUNTRACED)[1]):
            time.sleep(0.01)
        held = json.loads((folder(tmp_path, 1) / "owner.json").read_text())
        (folder(tmp_path, 1) / "owner.json").write_text(json.dumps(held | {"job": "7"}))
        with claim(tmp_path, lease=60, supersede={"7"}) as attempt:
            result = {"attempt": attempt.number, "test_acc": 2.0}
            if over:
                write(attempt, result)
            sleeper.send_signal(signal.SIGCONT)
            assert said(sleeper).startswith("fenced: " if over else "written")
            assert finished(tmp_path) == (result if over else None)
            if not over:
                write(attempt, result)
    assert finished(tmp_path) == result
