"""The arguments that every data set takes, checked without loading anything.

`subset` and `test_subset` are null (everything), a share in (0, 1), a count (an integer), or 'first:0.5' /
'first:25000' for the first in file order; all others are stratified at random.
`val` is held out of what the subset leaves: null or 0 (none), a share in (0, 1), or a count; always stratified.
Functions raise `ValueError("argument: what is wrong and the way out")`.
"""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ablation.build import near

if TYPE_CHECKING:  # it imports torch
    from ablation.types import View

MOST_PIXELS, _MOST_PAD = 10_000, 1000  # along a side; of more by a slip, a few images fill the memory
NORMS = ("pixel", "widespread", "imagenet")


class Amount(NamedTuple):
    """How many images to take, and how."""

    argument: str  # for messages
    much: int | float  # a count, or a share
    first: bool  # in file order; otherwise stratified at random

    def of(self, total: int) -> int:
        """The number of images out of so many.

        Raises:
            ValueError: it is none, or more than there are.
        """
        count = self.much if isinstance(self.much, int) else round(self.much * total)
        if not 1 <= count <= total:
            raise ValueError(f"{self.argument}: {self.much} asks for {count} of {total} images; ask for 1 to {total}")
        return count


class Choice(NamedTuple):
    """Which images, seen how: the common arguments once checked."""

    view: View
    view_name: str
    val: Amount | None
    subset: Amount | None
    test_subset: Amount | None
    split_seed: int


def _number(argument: str, value: object, first: bool) -> Amount:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{argument}: {value!r} is neither a share such as 0.5 nor a count such as 25000")
    if isinstance(value, int) and value < 1:
        raise ValueError(f"{argument}: the count {value} is below 1; give at least 1, or null")
    # 1.0 as "everything" would have the identity of 1, one image.
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError(f"{argument}: {value} is not a share in (0, 1); null is everything, counts are whole numbers")
    return Amount(argument, value, first)


def amount(argument: str, value: object) -> Amount | None:
    """Read a subset: null, a share, a count, or 'first:' and either."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _number(argument, value, first=False)
    kind, _, text = value.partition(":")
    for read in (int, float):
        try:
            number = read(text)
        except ValueError:
            continue
        if kind == "first":
            return _number(argument, number, first=True)
    raise ValueError(f"{argument}: {value!r} is not null, a share (0.5), a count (25000), 'first:0.5' or 'first:25000'")


def held_out(value: object) -> Amount | None:
    """Read `val`: null or 0, a share below 1, or a count."""
    if value is None or (value == 0 and not isinstance(value, bool)):
        return None
    if isinstance(value, float) and value >= 1:
        raise ValueError(f"val: the share {value} leaves nothing to train on; hold out a share below 1")
    return _number("val", value, first=False)


def whole(argument: str, value: object, least: int, most: float = math.inf) -> int:
    """Read an integer that has bounds."""
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        above = "" if most == math.inf else f" and at most {most}"
        raise ValueError(f"{argument}: {value!r} is not a whole number of at least {least}{above}")
    return value


def one_of(argument: str, value: object, names: tuple[str, ...]) -> str:
    """Read a name out of a few."""
    if value not in names:
        raise ValueError(f"{argument}: {value!r} is unknown; {near(str(value), names)}")
    return str(value)


def given(argument: str, value: object) -> Path:
    """Read a path that has no default."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{argument}: is {value!r}: say where the images are with data.{argument}=PATH")
    return Path(value).expanduser()


def _view(chosen: object, pad: int) -> tuple[View, str]:
    """Read a view, a name or {name: {argument: value}}; and what it is, for people."""
    nested = isinstance(chosen, Mapping) and len(chosen) == 1
    name, arguments = next(iter(chosen.items())) if nested and isinstance(chosen, Mapping) else (chosen, None)
    files = Path(__file__).parent.joinpath("view").glob("[!_]*.py")
    name, arguments = one_of("view", name, tuple(f.stem for f in files)), dict(arguments or {})
    factory = getattr(importlib.import_module(f"ablation.data.view.{name}"), name)
    accepted = set(inspect.signature(factory).parameters) - {"pad"}
    for argument in arguments:
        if argument not in accepted:
            raise ValueError(f"view: {name} has no argument {argument!r}; {near(str(argument), accepted)}")
    try:
        found: View = factory(pad, **arguments)
    except (ValueError, TypeError) as e:
        raise ValueError(f"view: {name}.{e}") from e
    return found, ", ".join([name, *(f"{k} {v}" for k, v in arguments.items()), f"pad {pad}"])


def check(
    view: object = "none",
    pad: object = 0,
    val: object = None,
    subset: object = None,
    test_subset: object = None,
    split_seed: object = 0,
) -> Choice:
    """The common arguments, read and checked; see the head of this file for what they mean."""
    chosen, view_name = _view(view, whole("pad", pad, 0, _MOST_PAD))
    return Choice(
        view=chosen,
        view_name=view_name,
        val=held_out(val),
        subset=amount("subset", subset),
        test_subset=amount("test_subset", test_subset),
        split_seed=whole("split_seed", split_seed, 0),
    )


def cropped(value: object) -> float:
    """Read `test_crop`: the side that is kept, as a share of the resized one."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError(f"test_crop: {value!r} is not a share in (0, 1]; 1 keeps the whole of the shorter side")
    return value


def truth(argument: str, value: object) -> bool:
    """Read a truth value."""
    if not isinstance(value, bool):
        raise ValueError(f"{argument}: {value!r} is neither true nor false")
    return value


def memory_mode(value: object) -> bool | None:
    """Read `in_memory`: true, false, or 'auto' (None)."""
    if not isinstance(value, bool) and value != "auto":
        raise ValueError(f"in_memory: {value!r} is not auto, true or false")
    return value if isinstance(value, bool) else None


def check_arguments(node: Mapping[str, Any]) -> None:
    """Check a configuration node of the `data` group by the names of its arguments, loading nothing.

    Raises:
        ValueError: "argument: what is wrong and the way out".
    """
    check(**{name: node[name] for name in inspect.signature(check).parameters if name in node})
    if "norm" in node:
        one_of("norm", node["norm"], NORMS)
    if "size" in node:
        whole("size", node["size"], 1, MOST_PIXELS)
    if "test_crop" in node:
        cropped(node["test_crop"])
    if "exif_orientation" in node:
        truth("exif_orientation", node["exif_orientation"])
    if "in_memory" in node:
        memory_mode(node["in_memory"])
    if "path" in node:
        given("path", node["path"])
