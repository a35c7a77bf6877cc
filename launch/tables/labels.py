"""What the lines of a table are called, and which line each is compared with, where axes multiply the rows too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ablation.build import near
from ablation.errors import ConfigError
from ablation.store import identity
from launch.compose.grid import GridRow
from launch.compose.naming import BASELINE, common_and_distinct, full_name, short_names
from launch.compose.overrides import parsed
from launch.tables.file import FIRST

_USERS = ("data.",)  # before a row is composed, its data set may be a user's


def labels(rows: Sequence[GridRow]) -> list[str]:
    """The label of each row; where axes multiply it, with its place on them; without a label, its arm's short name.

    Where a label says the same, the name is the full one.
    """
    places = _axes(rows)
    called = {n: ", ".join([own, *places[n]]) for n, row in enumerate(rows) if (own := _label(row))}
    full, given = _full_names(rows), set(called.values())
    short = short_names({name: name for name in full.values()})[1]  # rows of one name are one arm
    for n, name in full.items():
        longer = name if name != BASELINE else "defaults"
        called.setdefault(int(n), longer if short[name] in given else short[name])
    return [called[n] for n in range(len(rows))]


def against(rows: Sequence[GridRow], called: Sequence[str], baseline: str | None) -> list[str | None]:
    """For each row what the row is called that it is compared with: the one at the same place of the axes.

    `called` are the rows' labels, `baseline` is what the table says: `first`, a row's own label, or None.

    Raises:
        ConfigError: no row of a sweep without labels has this name.
    """
    if any(_label(row) for row in rows):
        return [_partner(rows, called, n, baseline) for n in range(len(rows))]
    typed = common_and_distinct(_full_names(rows))[1]
    names = {name: called[int(n)] for n, name in typed.items()} | {name: name for name in called}
    if baseline is not None and baseline not in (FIRST, *names):
        raise ConfigError(f"hydra.sweeper.baseline={baseline}: no row has this label; {near(baseline, called)}")
    chosen = called[0] if baseline == FIRST else names.get(baseline or "")
    return [chosen if chosen != own else None for own in called]


def surrounding(override: str, users: tuple[str, ...] = _USERS) -> bool:
    """Whether it says where, how or how often a trial is run, but not what it is.

    `users` are the beginnings of `identity.theirs`.
    """
    return identity.surrounding(override.lstrip("+~").partition("=")[0], users)


def _partner(rows: Sequence[GridRow], called: Sequence[str], n: int, baseline: str | None) -> str | None:
    """What the row that row n is compared with is called."""
    default = _label(rows[0]) if baseline == FIRST else baseline
    wanted = rows[n].about.get("against", default)
    axes = _axes(rows)
    candidates = [c for c, row in enumerate(rows) if wanted is not None and _label(row) == wanted]
    there = [c for c in candidates if set(axes[c]) <= set(rows[n].overrides)]
    return next((called[c] for c in there if c != n), None) if n not in there else None


def _axes(rows: Sequence[GridRow]) -> list[list[str]]:
    """For each row the overrides that are not common to all rows of its label, without its surroundings."""
    kept = [[text for text in _effective(row.overrides) if not surrounding(text)] for row in rows]
    sets: dict[str, list[set[str]]] = defaultdict(list)
    for row, overrides in zip(rows, kept, strict=True):
        sets[_label(row)].append(set(overrides))
    common = {label: set.intersection(*found) for label, found in sets.items()}
    return [[o for o in own if o not in common[_label(row)]] for row, own in zip(rows, kept, strict=True)]


def _full_names(rows: Sequence[GridRow]) -> dict[str, str]:
    """By the row's number."""
    return {str(n): full_name(row.overrides, _USERS) for n, row in enumerate(rows)}


def _effective(overrides: Sequence[str]) -> list[str]:
    """Without those that do nothing, since a later one sets the same key."""
    return list({parsed(text).get_key_element(): text for text in overrides}.values())


def _label(row: GridRow) -> str:
    """As the table says it; empty if it does not."""
    return str(row.about.get("label") or "")
