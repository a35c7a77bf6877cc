"""Command lines as text: what Hydra is given, what was typed, and the lines that people are told to type next."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType
from hydra.errors import HydraException

from ablation.errors import ConfigError
from launch.compose.paths import CHECKOUT

_RUN = ("python", "launch/run.py") if CHECKOUT else ("ablation", "run")
DEFAULT_OUT = Path("results/runs")  # where verbs look unless they are told
ONE_VALUE = ("out", "sweep")  # where a sweep is kept, so that its arms cannot differ in it
_FLAGS = ("-m", "--multirun")  # options without a value that overrides may follow
_MULTIRUN = "hydra.mode=MULTIRUN"  # what -m adds
_SEARCH = "hydra.searchpath="
_NULLS = "null,null"  # choice(null) is refused by Hydra
_DOTTED = re.compile(r"(?!hydra\.)\w+\.[\w.]+=.")
_CHOICE = re.compile(r"(?P<key>[^=]+)=choice\((?P<value>.*)\)$", re.DOTALL)
Overrides = Sequence[str]  # of one arm, or of one row of a grid


@lru_cache(maxsize=65536)
def parsed(override: str) -> Override:
    """One override as Hydra reads it; thousands of arms share a few texts.

    Raises:
        HydraException: not an override.
    """
    (read,) = OverridesParser.create().parse_overrides([override])
    return read


def settings(overrides: Sequence[str]) -> dict[str, str]:
    """What Hydra overrides come to, key -> value as text, whatever their form: mappings are told leaf by leaf.

    What a later override replaces is left out: `optim={lr:1} optim.lr=2` sets `optim.lr` to 2, and in the other order
    to 1. `~key` is what takes a key away, and has no value. A group's choice replaces none of the group's arguments.
    """
    kept: dict[str, str] = {}
    for read in map(parsed, overrides):
        gone, key = read.type is OverrideType.DEL, read.key_or_group
        leaves = {f"~{key}": ""} if gone else _leaves(key, read._value)  # value() would take the typed quotes off
        for leaf, value in leaves.items():
            kept = {k: v for k, v in kept.items() if not _replaces(leaf.lstrip("~"), k.lstrip("~"))} | {leaf: value}
    return kept


def value_text(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return f"[{','.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return "{" + ",".join(f"{value_text(k)}:{value_text(v)}" for k, v in value.items()) + "}"
    return Override._get_value_element_as_str(value)


def search_paths(overrides: Sequence[str]) -> list[str]:
    """Those overrides that say where else Hydra looks for options."""
    return [text for text in overrides if text.startswith(_SEARCH)]


def search_paths_in(line: str) -> list[str]:
    """Those of a line that was printed or kept."""
    return search_paths(shlex.split(line)) if _SEARCH in line else []


def for_hydra(typed: Sequence[str]) -> list[str]:
    """What Hydra is given: naming a launcher asks for it also without `-m`, `--json` is an option of launchers.

    The overrides that name a teacher become one value, see `quote_teacher`; what Hydra would refuse of a sweep is
    hidden from it, see `hide_from_hydra`.

    Raises:
        ConfigError: a sweep is to be shown.
        HydraException: not an override.
    """
    given = _flags_first(["hydra.launcher.json=true" if t == "--json" else quote_teacher(t) for t in typed])
    names_launcher = any(text.startswith(("hydra/launcher=", "hydra.launcher.")) for text in given)
    if (shown := {"--cfg", "-c", "--info", "-i"} & set(given)) and {"-m", "--multirun"} & set(given):
        raise ConfigError(f"{shown.pop()}: shows one configuration, not those of a sweep; leave -m out")
    given = ["-m", *given] if names_launcher and not {"-m", "--multirun"} & set(given) else given
    return hide_from_hydra(given) if {"-m", "--multirun", "hydra.mode=MULTIRUN"} & set(given) else given


def quote_teacher(argument: str) -> str:
    """A command-line argument as Hydra wants it: `teacher=model=resnet56 epochs=30` needs quotes inside.

    So do ids, some of which read as numbers. Commas outside brackets separate the values of a sweep, as elsewhere.
    """
    key, _, value = argument.partition("=")
    if key != "teacher" or re.match(r"\w+\(|['\"]", value):
        return argument
    values = re.split(r",(?![^\[\](){}]*[\])}])", value)
    plain = ("same", "null")
    return "teacher=" + ",".join(v if v in plain or v[:1] in ("'", '"') else f"'{v}'" for v in values)


def hide_from_hydra(arguments: Sequence[str]) -> list[str]:
    """The arguments of a command line that sweeps, with those disguised that Hydra would refuse; see `as_typed`.

    Some keys only the arms of a sweep have: `aug.mixup.alpha` where every arm chooses mixup. Hydra composes the
    configuration of a whole sweep without its arms, and would refuse such a key. What sweeps it leaves to the sweeper;
    so a value goes past it as a sweep over that one value.
    """
    return [_as_sweep(text) if _DOTTED.match(text) else text for text in arguments]


def as_typed(overrides: Sequence[str]) -> list[str]:
    """The overrides as they were typed, before `hide_from_hydra`."""
    return [_without_sweep(text) for text in overrides]


def suggest_override(text: str) -> str:
    """What to type instead of a text that Hydra cannot read as an override.

    Letters outside a-z and other signs it reads in double quotes only, and a shell takes its own quotes off; so the
    shell's are around Hydra's.
    """
    key, equals, value = text.partition("=")
    if not equals:
        return "give key=value"
    if value[:1] in "[{'\"(" and value:
        return "close its brackets and quotes; what has letters outside a-z stands in double quotes: 'key=[\"ü\"]'"
    values = [value] if key in ONE_VALUE else value.split(",")
    typed = f"{key}={','.join(map(quote_value, values))}"
    return f"type {shlex.quote(typed)}" if _is_override(typed) else "give key=value"


def arm_command(overrides: Sequence[str]) -> str:
    """The line that runs one arm again."""
    return shlex.join([*_RUN, *overrides])


def sweep_command(task: Sequence[str], hydra: Sequence[str]) -> str:
    """The line that asks for a sweep again: overrides of the configuration, then of Hydra's own."""
    return shlex.join([*_RUN, "-m", *as_typed(task), *(text for text in hydra if text != _MULTIRUN)])


def run_command(command: str) -> str:
    """The line of a plan without what makes it a plan: it runs on the launcher that is the default."""
    return shlex.join(
        word for word in shlex.split(command) if not word.startswith(("hydra/launcher=", "hydra.launcher."))
    )


def verb_command(words: str, out: Path) -> str:
    """`ablation` with these words, and with the folder of the runs if it is not where verbs look by themselves."""
    out, here = out.resolve(), Path.cwd()
    if out == DEFAULT_OUT.resolve():
        return f"ablation {words}"
    return f"ablation {words} --out {shlex.quote(str(out.relative_to(here) if out.is_relative_to(here) else out))}"


def _leaves(key: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        return {key: value_text(value)}
    return {leaf: text for k, v in value.items() for leaf, text in _leaves(f"{key}.{value_text(k)}", v).items()}


def _replaces(key: str, earlier: str) -> bool:
    return key == earlier or ("." in key and earlier.startswith(f"{key}."))


def _flags_first(typed: Sequence[str]) -> list[str]:
    """Options such as `-m` before the overrides, with their values: argparse takes overrides from one place only."""
    flags, others = list[str](), list[str]()
    for text in typed:
        value = flags and flags[-1].startswith("-") and flags[-1] not in _FLAGS and re.fullmatch(r"[^=~]+", text)
        (flags if value or text.startswith("-") else others).append(text)
    return [*flags, *others]


def _as_sweep(text: str) -> str:
    override = parsed(text)
    if override.is_sweep_override() or override.type is not OverrideType.CHANGE:
        return text
    key, _, value = text.partition("=")
    return f"{key}={_NULLS}" if override.value() is None else f"{key}=choice({value})"


def _without_sweep(text: str) -> str:
    key, _, typed = text.partition("=")
    if typed == _NULLS:
        return f"{key}=null"
    choice = _CHOICE.match(text)
    if not choice:
        return text
    value = parsed(text).value()
    one = isinstance(value, ChoiceSweep) and not value.simple_form and len(value.list) == 1
    return f"{choice['key']}={choice['value']}" if one else text


def quote_value(value: str) -> str:
    """One value as Hydra reads it: in its quotes, unless it is read as this very text, or as a number, without."""
    if _is_override(f"key={value}"):
        read = parsed(f"key={value}").value()
        if read == value or isinstance(read, int | float | None):
            return value
    escaped = re.sub(r'(\\*)("|$)', lambda found: 2 * found[1] + ('\\"' if found[2] else ""), value)
    return f'"{escaped}"'


def _is_override(text: str) -> bool:
    try:
        parsed(text)
    except HydraException:
        return False
    return True
