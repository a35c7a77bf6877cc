"""A sweep of which some arms cannot have what was typed for all: how to say it arm by arm."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from launch.compose import errors
from launch.compose.arms import attempts

_MANY = 12  # arms; a line with more is hard to read
_ROWS = "hydra.sweeper.rows"


def way(rows: Sequence[Sequence[str]], hydra: Sequence[str] = ()) -> str:
    """The line that gives an override of all arms to those only that can have it; empty if no one override is at fault.

    `hydra` are the overrides of Hydra's own. Hydra must be initialized.
    """
    shared = [text for text in rows[0] if all(text in row for row in rows)]
    search = errors.searched(hydra)
    if len(rows) > _MANY or any(text.startswith("hydra.sweeper.") for text in hydra):
        return ""
    refused = [isinstance(found, Exception) for found in attempts(rows, search)]
    if not any(refused) or all(refused):
        return ""
    for blamed in shared:
        told = [[text for text in row if not (no and text == blamed)] for row, no in zip(rows, refused, strict=True)]
        if any(isinstance(found, Exception) for found in attempts(told, search)):
            continue
        common = [text for text in shared if text != blamed]
        lines = (" ".join(_word(text) for text in row if text not in common) for row in told)
        said = ",".join('"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"' for line in lines)
        line = errors.sweep_command([], [f"{_ROWS}=[{said}]", *common, *hydra])
        return f"to give {blamed} to the arms that can have it, say them one by one: {line}"
    return ""


def _word(text: str) -> str:
    """One word of a line: in quotes only where it would come apart, since a shell's come around the whole."""
    return shlex.quote(text) if {*text} & {*" '\"\\\t\n#"} else text
