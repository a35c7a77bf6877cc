"""Ctrl-C, a closed terminal and a reader that leaves: what was trained is saved, and the same command goes on."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch.shells import Place, Terminal, assert_same, terminal, wait, wait_for_end


def line(place: Place, kind: str) -> str:
    return shlex.join([sys.executable, *(place.sweep() if kind == "sweep" else place.single())])


def close(_: Place, opened: Terminal) -> None:
    opened.close()


def suspend_and_close(_: Place, opened: Terminal) -> None:
    opened.type("\x1a")
    wait(lambda: "Stopped" in opened.read())
    opened.close()


def ctrl_c(_: Place, opened: Terminal) -> None:
    opened.type("\x03")


def terminate(place: Place, _: Terminal) -> None:
    """As `timeout` does it: to the process and to its group."""
    (driver,) = place.processes("launch/run.py")
    for _ in range(2):
        os.kill(driver, signal.SIGTERM)


TRIALS = {"single": 1, "sweep": 4}
slow = pytest.mark.slow
kinds = pytest.mark.parametrize("kind", ["single", "sweep"])


def type_and_wait(place: Place, kind: str, opened: Terminal) -> None:
    """Type the command, and wait until it trains with both hands."""
    opened.type(f"{line(place, kind)}; echo rc=$?\n")
    wait(lambda: (opened.read(), len(place.begun()) == min(TRIALS[kind], 2))[1])
    place.hold()


def go_on(undisturbed: Path, place: Place, kind: str) -> str:
    """The same command again, to the end."""
    place.fast()
    said = place.finish(shlex.split(line(place, kind))[1:])
    assert_same(undisturbed, place, TRIALS[kind])
    assert place.clean()
    return said


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (close, "single"),
        pytest.param(close, "sweep", marks=slow),
        *(
            pytest.param(act, kind, marks=slow)
            for act in (suspend_and_close, ctrl_c, terminate)
            for kind in ("single", "sweep")
        ),
    ],
)
def test_what_was_trained_is_saved(
    undisturbed: Path, place: Place, kind: str, act: Callable[[Place, Terminal], None]
) -> None:
    with terminal(place) as opened:
        type_and_wait(place, kind, opened)
        act(place, opened)
        place.slow()
        wait_for_end(place, opened)
        if act in (ctrl_c, terminate):
            wait(lambda: "rc=" in opened.read().rpartition("echo rc=")[2])
            assert "rc=130" in opened.text
            assert "the same command resumes" in opened.text
    assert place.clean()
    assert "stopped" in place.last_words()
    assert set(place.last_words()) <= {"stopped", "done"}
    assert "resumed at step" in go_on(undisturbed, place, kind)


@slow
@kinds
def test_ctrl_c_twice_does_not_wait_for_a_step(undisturbed: Path, place: Place, kind: str) -> None:
    with terminal(place) as opened:
        type_and_wait(place, kind, opened)
        opened.type("\x03")
        time.sleep(1)
        assert place.processes()
        opened.type("\x03")
        wait_for_end(place, opened)
    go_on(undisturbed, place, kind)


@slow
@kinds
def test_a_reader_that_leaves_is_no_failure(undisturbed: Path, place: Place, kind: str) -> None:
    with terminal(place) as opened:
        opened.type(f"{line(place, kind)} | head -n 1\n")
        wait(lambda: (opened.read(), place.trials())[1])
        wait_for_end(place, opened)
        assert "Traceback" not in opened.read()
    assert set(place.last_words()) == {"stopped"}
    go_on(undisturbed, place, kind)


@slow
def test_what_the_shell_was_told_to_leave_alone_goes_on_without_its_terminal(undisturbed: Path, place: Place) -> None:
    with terminal(place) as opened:
        opened.type(f"{line(place, 'sweep')} & disown\n")
        wait(lambda: (opened.read(), len(place.begun()) == 2)[1])
    place.fast()
    wait_for_end(place)
    assert_same(undisturbed, place)
    assert all(numbers == [1] for numbers in place.numbers())
