"""A clock that is set back and forth by hours while a sweep runs: nothing is trained twice, and no time is negative."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest

from ablation.store import journal
from tests.launch.shells import Place, assert_same, wait

FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
pytestmark = pytest.mark.skipif(FAKETIME is None, reason="needs Debian's package faketime")


class Clock:
    """The clock of all processes of a place; what the kernel says of files and of waiting stays true."""

    def __init__(self, place: Place, folder: Path) -> None:
        self._file = folder / "clock"
        self.set("+0")
        place.env |= {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset: str) -> None:
        self._file.write_text(offset)


def epochs(place: Place) -> int:
    return sum(e["event"] == "epoch" for t in place.trials() for e in journal.events(t))


def test_hours_back_and_forth(undisturbed: Path, place: Place, tmp_path: Path) -> None:
    clock = Clock(place, tmp_path)
    shell = place.start(place.sweep())
    wait(lambda: len(place.begun()) == 2)
    for offset in ("-6h", "+3h"):
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
    clock.set("-6h")
    again = place.finish(place.sweep())
    assert re.search(r"already done \d+ h from now, by this machine's clock; nothing was run", again)
    assert not re.search(r"-\d[\d.]* (s|min|h|days)\b", said + again)
    assert place.clean()
