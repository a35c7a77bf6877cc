"""The test command itself: a run that loses a process or hangs ends, says which test it was, and fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SIX = "import os\n" + "".join(f"def test_{i}(): pass\n" for i in range(6))
ABORTS = "def test_aborts():\n    os.abort()\n"
EXITS = "def test_exits():\n    os._exit(0)\n"
HANGS = "import time\ndef test_hangs():\n    time.sleep(600)\n"
ABORTS_AT_THE_END = """
import pytest
@pytest.fixture(scope="session", autouse=True)
def end():
    yield
    os.abort()
"""


def run(folder: Path, source: str, processes: int | str, *more: str) -> tuple[int, str]:
    """Run these tests with our conftest and our settings: exit code, and what was said."""
    shutil.copy(HERE / "conftest.py", folder)
    (folder / "test_it.py").write_text(source)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    where = ["-c", str(HERE.parent / "pyproject.toml"), "--rootdir", str(folder), "-n", str(processes)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *where, *more, str(folder)],
        env=env, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout


def test_a_run_without_mishaps_passes(tmp_path: Path) -> None:
    code, said = run(tmp_path, SIX, 2)
    assert code == 0, said
    assert "6 passed" in said


@pytest.fixture
def one_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.usefixtures("one_core")
def test_there_are_two_processes_more_than_cores_and_two_groups_with_a_cluster_each(tmp_path: Path) -> None:
    source = "import os, pathlib\ndef test_it():\n    told = os.environ['PYTEST_XDIST_WORKER'] + ' of '\n"
    source += "    pathlib.Path(f'{__file__}.told').write_text(told + os.environ['PYTEST_XDIST_WORKER_COUNT'])\n"
    slurm = tmp_path / "tests" / "slurm"
    slurm.mkdir(parents=True)
    for name in ("asking", "memory", "order", "waiting"):
        (slurm / f"test_{name}.py").write_text(source)
    code, said = run(tmp_path, SIX, "auto")
    assert code == 0, said
    asking, memory, order, waiting = (path.read_text() for path in sorted(slurm.glob("*.told")))
    assert asking == memory != order == waiting
    assert asking.endswith(" of 3")


@pytest.mark.parametrize(
    ("source", "name", "processes"),
    [
        (SIX + ABORTS, "test_aborts", 2),
        pytest.param("import os\n" + EXITS + "def test_after(): pass\n", "test_exits", 1, marks=pytest.mark.slow),
    ],
    ids=["last", "first"],
)
def test_a_crash_ends_the_run_and_names_the_test(tmp_path: Path, source: str, name: str, processes: int) -> None:
    code, said = run(tmp_path, source, processes)
    assert code == 1, said
    assert f"test_it.py::{name}" in said
    assert "1 failed" in said  # it is not tried again


def test_a_crash_after_the_last_test_fails_the_run(tmp_path: Path) -> None:
    code, said = run(tmp_path, SIX + ABORTS_AT_THE_END, 1)
    assert code == 1, said


@pytest.mark.parametrize("processes", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_run_that_hangs_is_ended(tmp_path: Path, processes: int) -> None:
    for limit in (5, 20, 80):  # a machine may be so busy that the test has not begun
        code, said = run(tmp_path, HANGS, processes, "-o", f"run_limit={limit}")
        assert code == 1, said
        assert f"longer than run_limit = {limit} s" in said
        if "test_it.py::test_hangs, for" in said:
            return
    pytest.fail(said)


def test_turns_begin_at_other_tests_and_end_in_time(tmp_path: Path) -> None:
    """Six tests, each allowed 600 seconds, which one of 19 minutes can only begin while ten are left."""
    source = "import pytest\n" + "".join(f"def test_{i}(): print('ran', {i})\n" for i in range(6))
    source += "@pytest.mark.timeout(timeout=1200)\ndef test_long(): print('ran', 6)\n"
    ran = []
    for turn in range(3):
        code, said = run(tmp_path, source, 0, "-s", "-rs", "--turn", str(turn), "--minutes", "19")
        assert code == 0, said
        assert "6 passed, 1 skipped" in said
        assert "as much as its time limit, 1200 s, is not left of 19 minutes" in said
        ran.append(re.findall(r"ran (\d)", said))
    assert all(sorted(order) == [*"012345"] for order in ran)
    assert len({order[0] for order in ran}) == 3, "each turn begins at another one"
