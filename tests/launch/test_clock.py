"""A clock that is set back and forth by hours while a sweep runs: nothing is trained twice, and no time is negative."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from ablation.store import journal
from ablation.store.atomic import write_atomic
from tests.launch.shells import Place, assert_same, wait

HOUR = 3600
SOURCE = Path(__file__).with_name("clock.c")
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")


class Clock:
    """The clock of all processes of a place; what the kernel says of files and of waiting stays true."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._file, library = folder / "clock", folder / "clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
        self.set(0)
        place.env |= {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._file)}

    def set(self, seconds: int) -> None:
        write_atomic(self._file, str(seconds).encode())


def epochs(place: Place) -> int:
    return sum(e["event"] == "epoch" for t in place.trials() for e in journal.events(t))


@pytest.mark.slow
def test_hours_back_and_forth(undisturbed: Path, place: Place, tmp_path: Path) -> None:
    clock = Clock(place, tmp_path)
    shell = place.start(place.sweep())
    wait(lambda: len(place.begun()) == 2)
    for offset in (-6 * HOUR, 3 * HOUR):
        clock.set(offset)
        before = epochs(place)
        wait(lambda before=before: epochs(place) > before)  # type: ignore[misc]
    place.fast()
    said = shell.wait()
    assert "4 of 4 done" in said
    assert_same(undisturbed, place)
    assert place.numbers() == [[1]] * 4
    found = json.loads(place.finish(place.verb("status", "--json")).splitlines()[-1])
    assert 0 < found["hours"]["CPU"]["spent"] < 1
    events = [e for t in place.trials() for e in journal.events(t)]
    assert any(b["time"] < a["time"] for a, b in pairwise(events) if b["event"] != "start"), "the clock was set back"
    clock.set(-6 * HOUR)
    again = place.finish(place.sweep())
    assert re.search(r"already done \d+ h from now, by this machine's clock; nothing was run", again)
    assert not re.search(r"-\d[\d.]* (s|min|h|days)\b", said + again)
    assert place.clean()
