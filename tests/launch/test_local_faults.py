"""Local sweeps whose processes are killed, suspended and starved, and which several shells work on at once."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from launch.cli.selection import Filter, select
from launch.workers import local
from tests.launch.shells import Place, Shell, assert_same, wait
from tests.launch.workshop import mischief, tricks

slow = pytest.mark.slow
# Two arms whose brakes are two files, so that one of them can fail.
PAIR = ("aug.brake.arm=0,1", "seeds=1")


def begin(place: Place, *overrides: str) -> Shell:
    """Start the sweep, and wait until it trains with both hands, which are held then."""
    shell = place.start(place.sweep(*overrides))
    wait(lambda: len(place.begun()) == 2)
    place.hold()
    return shell


def end(place: Place, undisturbed: Path) -> None:
    """The same command again, to the end."""
    place.fast()
    place.finish(place.sweep())
    assert_same(undisturbed, place)
    assert place.clean()


def status(place: Place, *words: str) -> dict[str, object]:
    said = place.start(place.verb("status", *words, "--json"))
    said.process.wait(100)
    found: dict[str, object] = json.loads(said.said.splitlines()[-1])
    return found


@slow
def test_driver_and_workers_killed_at_once(undisturbed: Path, place: Place) -> None:
    shell = begin(place)
    for pid in [shell.process.pid, *place.workers()]:
        os.kill(pid, signal.SIGKILL)
    wait(place.gone)
    assert "running" not in status(place)["totals"]  # type: ignore[operator]
    end(place, undisturbed)


@slow
def test_a_suspended_worker_holds_up_its_trial_alone_and_saves_when_asked(undisturbed: Path, place: Place) -> None:
    shell = begin(place)
    held = place.workers()[0]
    os.kill(held, signal.SIGSTOP)
    place.fast()
    wait(lambda: len(list(place.out.glob("*/seed-*/result.json"))) == 3)
    time.sleep(3)
    assert status(place)["totals"] == {"done": 3, "running": 1}
    place.slow()
    shell.kill(signal.SIGINT)
    assert "3 of 4 done, 1 stopped" in shell.wait(130)
    assert place.clean()
    end(place, undisturbed)


@slow
def test_a_suspended_driver_leaves_its_workers_at_work(undisturbed: Path, place: Place) -> None:
    shell = begin(place)
    shell.kill(signal.SIGSTOP)
    place.fast()
    wait(lambda: len(list(place.out.glob("*/seed-*/result.json"))) == 2)
    shell.kill(signal.SIGCONT)
    shell.wait()
    assert_same(undisturbed, place)
    assert place.numbers() == [[1]] * 4
    assert place.clean()


@slow
def test_a_second_grid_while_one_runs(undisturbed: Path, place: Place, tmp_path: Path) -> None:
    shell = begin(place)
    other = place.start(place.sweep("sweep=other", "aug.brake.arm=1", grid=("optim.lr=0.3", "seeds=1")))
    assert "1 of 1 done" in other.wait()
    assert status(place)["sweep"] == "other"  # the one submitted last
    assert status(place, "main")["totals"] == {"running": 2, "queued": 2}
    place.fast()
    assert "4 of 4 done" in shell.wait()
    (foreign,) = [t for t in place.trials() if not (undisturbed / t.relative_to(place.out)).exists()]
    os.rename(foreign.parent, tmp_path / "elsewhere")
    assert_same(undisturbed, place)
    assert place.clean()


@slow
def test_cancelled_from_another_shell(undisturbed: Path, place: Place) -> None:
    shell = begin(place, "lease=1")
    assert "cancelled 4 trials of main: 2 saving" in place.finish(place.verb("cancel"))
    time.sleep(1)  # longer than a heartbeat takes
    place.slow()
    said = shell.wait(1)
    assert "4 cancelled" in said
    assert place.clean()
    assert place.last_words() == ["stopped"] * 2
    place.fast()
    place.finish(place.verb("retry"))
    assert_same(undisturbed, place)
    assert place.clean()


@slow
def test_of_two_shells_with_one_grid_one_tries_what_fails(place: Place) -> None:
    place.hold()
    place.brake_by("1000", arm=1)
    shells = [place.start(place.sweep(grid=PAIR)) for _ in range(2)]
    wait(lambda: sum(shell.said.count("is training it") for shell in shells) == 2)
    place.fast()
    place.brake_by("error", arm=1)
    said = [shell.wait(1) for shell in shells]
    assert place.numbers() == [[1], [1]]
    assert all("1 of 2 done, 1 failed" in text for text in said)
    assert sum("tried meanwhile by process" in text for text in said) == 1
    assert place.clean()


@pytest.fixture
def broken(place: Place) -> Place:
    """A sweep whose trial has failed."""
    place.fast()
    place.brake_by("error", arm=1)
    place.finish(place.sweep(grid=("aug.brake.arm=1", "seeds=1")), code=1)
    return place


@pytest.mark.slow
def test_three_shells_that_retry_try_once(broken: Place) -> None:
    broken.brake_by("1000", arm=1)
    shells = [broken.start(broken.verb("retry")) for _ in range(3)]
    wait(lambda: sum(shell.process.poll() is not None for shell in shells) == 2)
    broken.brake_by("error", arm=1)
    said = [shell.wait(1) for shell in shells]
    assert sum("main is still being run by process" in text for text in said) == 2
    assert sum("1 failed" in text for text in said) == 1
    assert broken.numbers() == [[1, 2]]
    assert broken.clean()


def test_what_failed_since_a_shell_looked_is_not_tried_once_more(
    broken: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = select(broken.out, None, Filter(states=("failed",)))
    broken.finish(broken.verb("retry"), code=1)
    (outcome,) = local.resume(looked.submissions[-1], looked.trials, Console(width=300)).values()
    assert (outcome.state, outcome.cause) == ("failed", "error")
    assert "the trick is broken (tried meanwhile by process " in capsys.readouterr().out
    assert broken.numbers() == [[1, 2]]


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A cgroup of processes that have 3 GiB together, where the kernel lets one be made."""
    gib = 1 << 30
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(top, f"ablation-test-{os.getpid()}")
        with suppress(OSError):
            group.mkdir()
            try:
                (group / limit).write_text(str(3 * gib))
                yield group
                return
            finally:
                group.rmdir()
    pytest.skip("no cgroup with a limit of memory can be made here")


@slow
@pytest.mark.parametrize("limit", ["cgroup", "ulimit"])
def test_one_of_two_workers_runs_out_of_memory(
    place: Place, tmp_path: Path, limit: str, request: pytest.FixtureRequest
) -> None:
    """The kernel kills it, or it is refused memory; alone it is tried again."""
    grid = (*mischief("hog", once=tmp_path / "mark"), "optim.lr=0.1,0.2", "seeds=1")
    place.env["PYTHONPATH"] += f":{tricks(tmp_path / 'mine')}"
    place.fast()
    if limit == "cgroup":
        group = request.getfixturevalue("little_memory")
        before = ("sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh")
    else:
        before = ("sh", "-c", 'ulimit -v 8000000 && exec "$@"', "sh")
    said = place.start(place.sweep(grid=grid), *before).wait()
    assert "2 of 2 done" in said
    (again,) = [line for line in said.splitlines() if "; it is tried again" in line]
    assert "oom: " in again
    assert ("the machine was out of memory" in again) == (limit == "cgroup")
    assert sorted(place.numbers()) == [[1], [1, 2]]
    straight = Place(tmp_path / "straight")
    straight.env = place.env
    straight.finish(straight.sweep(grid=grid))
    assert_same(straight.out, place, 2, but=["code"])  # the mark is a file of the trick
    assert place.clean()
