"""Signs of life where a process cannot be looked at: a file that it touches again and again.

Ages are on the file server's clock, which all machines share: a file made now tells what it says. It may be set, and it
jumps when a laptop wakes up. Then a heartbeat may be of long ago or of times to come, until the next one.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

BEATS = 6  # in one lease
_WATCHED = 1.5  # beats


def fresh(beat: Path, lease: float, write: bool = True) -> bool:
    """Whether a file was touched less than `lease` seconds ago; one that is not there was not.

    Where no file can be made, or shall not (`write`), nobody can be replaced either: for who only wants to know the
    local clock is good enough.
    """
    now = time.time()
    if write:
        probe = beat.parent / f".probe-{uuid4().hex}"
        with suppress(OSError):
            probe.touch()
            now = probe.stat().st_mtime
            probe.unlink()
    return abs(now - touched(beat)) < lease


def comes(beat: Path, lease: float) -> bool:
    """Watch for a heartbeat, longer than one takes to come from a process with this lease; whether it came."""
    before = touched(beat)
    time.sleep(_WATCHED * lease / BEATS)
    return touched(beat) not in (before, float("-inf"))


def touched(path: Path) -> float:
    """When a file was last touched; NFS looks it up anew when a file is opened, and may be a minute late otherwise."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:  # released meanwhile
        return float("-inf")
