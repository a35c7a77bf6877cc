"""Where Python and installed packages lie: what is there is nobody's own code."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_PACKAGES = ("site-packages", "dist-packages")
_PYTHON = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "platstdlib", "purelib", "platlib"))


def installed(place: Path) -> bool:
    """Whether a file or folder, its path resolved, lies there."""
    return not {*_PACKAGES}.isdisjoint(place.parts) or any(map(place.is_relative_to, _PYTHON))
