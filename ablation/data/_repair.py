"""What is wrong with arrays, one thing after the other, and the line of Python that puts it right.

A line is tried on the arrays before it is told, so that all of them together, typed, give a file that loads.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ablation.data._cache import Array
from ablation.errors import DataError

Arrays = dict[str, Array]


class Fault(NamedTuple):
    """Something wrong."""

    said: str  # what it is, beginning with the array's name
    line: str = ""  # changes the arrays `f`, a mapping from names; empty if nobody else can know what is right


Check = Callable[[Arrays], Fault | None]


def repaired(f: Arrays, checks: Iterable[Check]) -> tuple[Arrays, list[Fault]]:
    """The arrays with every fault put right that can be, and the faults; the last one may be beyond that."""
    found = []
    for check in checks:
        fault = check(f)
        if fault is None:
            continue
        found.append(fault)
        if not fault.line:
            break
        names: dict[str, Any] = {"np": np, "f": dict(f)}
        exec(fault.line, names)  # a line of ours
        f = names["f"]
    return f, found


def refusal(path: Path, faults: list[Fault], load: str = "dict(np.load({}))") -> DataError:
    """The faults in words and, if all can be put right, what to type: it writes another file beside this one."""
    said = "; ".join(fault.said for fault in faults)
    if not all(fault.line for fault in faults):
        return DataError(f"{path}: {said}")
    other = path.with_name(f"{path.stem}-repaired.npz")
    lines = ["import numpy as np", f"f = {load.format(repr(str(path)))}", *(fault.line for fault in faults)]
    code = "; ".join([*lines, f"np.savez({str(other)!r}, **f)"])
    typed = shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'  # within '"' these are a shell's
    return DataError(f"{path}: {said}; this writes data.path={other}:\npython -c {typed}")
