"""Names of arms among others: what all have in common is said once, each keeps what sets it apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NEXT = re.compile(r",(?=[^,=\[\]{}]+=)")  # a comma before `key=`, not one within a value


def apart(names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """From full names by id: what all share, and the rest of each by id ("baseline" if nothing is left)."""
    parts = {id_: _NEXT.split(name) for id_, name in names.items()}
    shared = set.intersection(*map(set, parts.values())) if len(parts) > 1 else set()
    common = next(iter(parts.values())) if parts else []
    rest = {id_: ",".join(p for p in own if p not in shared) or "baseline" for id_, own in parts.items()}
    return ",".join(p for p in common if p in shared), rest
