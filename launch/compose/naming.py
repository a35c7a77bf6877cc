"""Names of arms among others: what all have in common is said once, each keeps what sets it apart."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NEXT = re.compile(r",(?=[^,=\[\]{}]+=)")  # a comma before `key=`, not one within a value


def apart(names: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """From full names by id: what all share, and the rest of each by id ("baseline" if nothing is left)."""
    own = {id_: parts(name) for id_, name in names.items()}
    shared = set.intersection(*map(set, own.values())) if len(own) > 1 else set()
    common = next(iter(own.values())) if own else []
    rest = {id_: ",".join(p for p in each if p not in shared) or "baseline" for id_, each in own.items()}
    return ",".join(p for p in common if p in shared), rest


def parts(name: str) -> list[str]:
    """The overrides that a name is made of."""
    return _NEXT.split(name)
