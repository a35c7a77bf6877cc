"""How far each parameter is from the output, read from the names, which are paths in the model."""

from __future__ import annotations

from collections.abc import Mapping

HEAD = "head"  # the attribute that every model has its classifier under


def depths(kinds: Mapping[str, str]) -> dict[str, int]:
    """Parameter name -> units between it and the output: 0 for the head, 1 for the last unit before it, and so on.

    `kinds` has the names in the model's order. The units are the blocks, of which there is one for each number that
    comes first in a path (`blocks.3.branch.conv1.weight`, `layer2.0.conv1.weight`). What comes before the first block
    is one unit, the stem; what comes between or after belongs to the block before it. In a model without blocks each
    layer with a weight is a unit, with its bias and the norm that follows. Several networks in one, each with a head,
    are counted each by itself, and what belongs to none (a loss term's layers) is as near to the output as a head.
    """
    roots = sorted({_root(name) for name in kinds if HEAD in name.split(".")}, key=len, reverse=True) or [()]
    inside: dict[tuple[str, ...], dict[str, str]] = {root: {} for root in roots}
    found = dict.fromkeys(kinds, 0)
    for name, kind in kinds.items():
        root = next((r for r in roots if tuple(name.split("."))[: len(r)] == r), None)
        if root is not None:
            inside[root][name] = kind
    for root, names in inside.items():
        found.update(_one(names, len(root)))
    return found


def _root(name: str) -> tuple[str, ...]:
    path = name.split(".")
    return tuple(path[: path.index(HEAD)])


def _one(kinds: Mapping[str, str], start: int) -> dict[str, int]:
    """The same for the parameters of one network, whose paths begin after `start` parts."""
    paths = {name: tuple(name.split(".")[start:]) for name in kinds}
    blocks = {name: _block(path) for name, path in paths.items()}
    plain = not any(blocks.values())
    unit: tuple[str, ...] = ()
    units: dict[str, tuple[str, ...]] = {}
    for name, path in paths.items():
        if path[0] == HEAD:
            unit = (HEAD,)
        elif plain and kinds[name] == "weight":
            unit = path[:-1]
        else:
            unit = blocks[name] or unit
        units[name] = unit
    order = [u for u in dict.fromkeys(units.values()) if u != (HEAD,)]
    headed = len(order) < len(set(units.values()))
    last = len(order) - (0 if headed else 1)
    place = {u: last - i for i, u in enumerate(order)} | {(HEAD,): 0}
    return {name: place[u] for name, u in units.items()}


def _block(path: tuple[str, ...]) -> tuple[str, ...]:
    """The path of the block that a parameter is in: to the end of the first run of numbers, of those after `blocks`.

    A number right before the parameter's own name is that of a layer, and there is no block: ().
    """
    at = path.index("blocks") + 1 if "blocks" in path else 0
    while at < len(path) and not path[at].isdigit():
        at += 1
    while at < len(path) and path[at].isdigit():
        at += 1
    return path[:at] if at < len(path) - 1 else ()
