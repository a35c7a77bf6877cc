"""How the tests are run: threads, which process runs which tests, and what ends a run that cannot end by itself.

xdist runs two processes more than there are cores, each with one thread: set before torch is imported; children inherit
it. Those two run what is tried on clusters, and mostly wait for jobs.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what it puts into the background with SIGINT ignored, and the processes that tests start and
# interrupt would inherit that, and go on for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Machines are shared: that others slow a test down is no failure of it.
settings.register_profile("shared", suppress_health_check=[HealthCheck.too_slow], deadline=None)
settings.load_profile("shared")


@pytest.fixture(autouse=True)
def own_modules_go_with_their_test(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forgets the modules that a test wrote and imported; later tests would take them for a user's code."""
    before = set(sys.modules)
    yield
    written = tmp_path_factory.getbasetemp()
    for name in sys.modules.keys() - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(written):
            del sys.modules[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini("run_limit", "seconds after which a run is ended, whatever its tests do", default="0")
    parser.addoption("--minutes", type=float, help="begin only tests whose own time limit ends within so many minutes")
    parser.addoption("--turn", type=int, default=0, help="which tests come first: other ones for each number")


@pytest.hookimpl(trylast=True)  # after `-m` has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Turns the order, so that runs that have no time for all tests have, turn after turn, run all."""
    golden = (5**0.5 - 1) / 2  # its multiples begin as far from where earlier turns began as can be
    first = int(config.getoption("--turn") * golden % 1 * len(items))
    items[:] = items[first:] + items[:first]


BEGAN = time.monotonic()


def pytest_runtest_setup(item: pytest.Item) -> None:
    minutes = item.config.getoption("--minutes")
    marked = item.get_closest_marker("timeout")
    limit = [*marked.args, *marked.kwargs.values()][0] if marked else float(item.config.getini("timeout"))
    if minutes is not None and time.monotonic() - BEGAN + limit > 60 * minutes:
        pytest.skip(
            f"is left to another turn: as much as its time limit, {limit:g} s, is not left of {minutes:g} minutes"
        )


def pytest_configure(config: pytest.Config) -> None:
    if getattr(config, "workerinput", None) is None:  # xdist's processes are looked after by the one that starts them
        config.pluginmanager.register(Watchman(config, float(config.getini("run_limit"))))


class Watchman:
    """Ends a run that takes too long, and lets no run succeed that lost a process."""

    def __init__(self, config: pytest.Config, limit: float) -> None:
        self.config, self.limit, self.lost = config, limit, False
        self.running: dict[str, float] = {}  # test -> when it began
        self.stderr = os.dup(2)  # before pytest captures it
        self.going_on = Lock()  # kept by `end`, so that pytest does not end first, for want of processes
        self.timer = Timer(limit, self.end)
        self.timer.daemon = True
        if limit:
            self.timer.start()

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.running[nodeid] = time.monotonic()

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.running.pop(nodeid, None)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any, error: object) -> None:
        with self.going_on:
            self.lost |= error is not None

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.lost and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_unconfigure(self) -> None:
        self.timer.cancel()

    def end(self) -> None:
        self.going_on.acquire()
        now = time.monotonic()
        told = [f"  {test}, for {now - began:.0f} s" for test, began in self.running.items()] or ["  none"]
        said = f"\n\nThe run was ended: it took longer than run_limit = {self.limit:g} s. Tests that were running:"
        os.write(self.stderr, "\n".join([said, *told, ""]).encode())
        with suppress(Exception):  # whatever is wrong with them, this process ends
            xdist: Any = self.config.pluginmanager.getplugin("dsession")
            xdist.nodemanager.teardown_nodes()  # kills those that do not end by themselves
        os._exit(1)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """How many processes `-n auto` is; None leaves it to xdist, and its environment variable."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ or not hasattr(os, "sched_getaffinity"):
        return None
    return len(os.sched_getaffinity(0)) + 2


# Tests that share what is slow to start. SLURM's mostly wait, so they are two groups with a cluster each; cut by the
# first letters of their files' names, both take about as long.
GROUPS = {
    "slurm a-m": r"tests/slurm/test_[a-m]",
    "slurm n-z": r"tests/slurm/test_[n-z]",
    "ui": r"tests/ui/",
    "track": r"tests/track/",
}
# Files whose tests look at one sweep or table, which every process would train for its part of the file.
SHARING = r"tests/(launch|results|data)/[^:]*"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One process runs the tests of a group or of a file that shares: pytest 9.2 loses xdist's own groups."""
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            found = next((name for name, pattern in GROUPS.items() if re.search(pattern, nodeid)), None)
            return found or (file[0] if (file := re.search(SHARING, nodeid)) else nodeid)

        def remove_node(self, node: Any) -> str | None:
            """After a crash nothing more is given out: xdist would give the same test to a new process, or wait."""
            tests = [test for unit in self.assigned_work.pop(node).values() for test, done in unit.items() if not done]
            if not tests:
                return None
            self.workqueue.clear()
            return tests[0]

    return Scheduling(config, log)
