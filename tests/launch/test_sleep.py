"""A laptop that sleeps: driver and workers are suspended for longer than the lease, alone and while others go on."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.launch.shells import Place, Shell, assert_same, wait

LEASE = 1.0  # seconds
pytestmark = pytest.mark.slow
# Another machine with the same files: a container, whose processes cannot be seen from here, nor ours from there.
CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@contextmanager
def asleep(place: Place) -> Iterator[None]:
    """Suspend all processes that work on a place."""
    pids = place.processes()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def begin(place: Place) -> tuple[list[str], Shell]:
    """A sweep that trains with both hands, which are held, and how it was started."""
    line = place.sweep(f"lease={LEASE}")
    shell = place.start(line)
    wait(lambda: len(place.begun()) == 2)
    place.hold()
    return line, shell


def test_alone_it_goes_on(undisturbed: Path, place: Place) -> None:
    _, shell = begin(place)
    with asleep(place):
        time.sleep(3 * LEASE)
    place.fast()
    assert "4 of 4 done" in shell.wait()
    assert_same(undisturbed, place)
    assert place.numbers() == [[1]] * 4
    assert place.clean()


def test_a_shell_beside_it_waits_for_what_it_can_see(undisturbed: Path, place: Place) -> None:
    """On the same machine a suspended process is known to run."""
    line, shell = begin(place)
    workers = place.workers()
    with asleep(place):
        place.fast()
        other = place.start(line)
        wait(lambda: other.said.count("is training it already, and is waited for") == 2)
        wait(lambda: len(list(place.out.glob("*/seed-*/result.json"))) == 2)
        time.sleep(3 * LEASE)
        assert all(f"process {pid} on " in other.said for pid in workers)
    assert all("4 of 4 done" in each.wait() for each in (shell, other))
    assert_same(undisturbed, place)
    assert place.numbers() == [[1]] * 4, "nobody trained what another did"
    assert place.clean()


@pytest.mark.skipif(subprocess.run([*CONTAINER, "true"]).returncode != 0, reason="needs to make containers")
def test_a_container_takes_over_and_who_wakes_up_writes_nothing_more(undisturbed: Path, place: Place) -> None:
    line, shell = begin(place)
    held = place.begun()
    with asleep(place):
        place.fast()
        other = place.start(line, *CONTAINER)
        assert "4 of 4 done" in other.wait()
        assert_same(undisturbed, place)
        results = {t: (t / "result.json").read_bytes() for t in place.trials()}
    assert "4 of 4 done" in shell.wait()
    assert shell.said.count("lost to attempt 2, of process ") == 2
    assert {t: (t / "result.json").read_bytes() for t in place.trials()} == results
    assert [t for t, n in zip(place.trials(), place.numbers(), strict=True) if n == [1, 2]] == held
    assert_same(undisturbed, place)
    assert place.clean()
