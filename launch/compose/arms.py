"""From override lists to the arms of a sweep: all composed, settled and checked before any is started."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ablation.errors import ConfigError, DataError
from ablation.store.identity import canonical, flatten
from ablation.trial import checked
from launch.compose import choices, errors, overrides, own_data, teachers
from launch.compose.arm import Planned, make_arm, resolved, settle
from launch.compose.composer import Composer
from launch.compose.overrides import Overrides, parsed
from launch.compose.warnings import config_notes

_LISTED = 10  # refused arms that a message lists
_MOST_ARMS = 12  # arms; a line with more is hard to read
_ROWS = "hydra.sweeper.rows"


class Refused(ConfigError):
    """Some arms of a sweep cannot be composed; the message lists them."""


def compose_arms(rows: Sequence[Overrides], search: Sequence[str] = ()) -> list[Planned]:
    """The arms that these override lists give, in their order; those of one id are one arm with all of their seeds.

    Hydra must be initialized. `search` are the `hydra.searchpath=` overrides of the command line.

    Raises:
        Refused: some arms are; lists them all.
        ConfigError: they differ in `out` or `sweep`.
    """
    return compose_rows(rows, search)[0]


def compose_rows(rows: Sequence[Overrides], search: Sequence[str] = ()) -> tuple[list[Planned], list[str]]:
    """The arms as `compose_arms` gives them, and for every override list the id of its arm."""
    planned: list[Planned] = []
    rows_of: Counter[tuple[str, str, tuple[int, ...]]] = Counter()  # of an id, a name and seeds
    ids: list[str] = []
    refused: list[tuple[int, Overrides, Exception]] = []
    for number, (row, arms) in enumerate(zip(rows, try_compose(rows, search), strict=True)):
        if isinstance(arms, Exception):
            refused.append((number, row, arms))
        else:
            planned += arms
            ids.append(arms[-1].arm.id)
            rows_of[ids[-1], arms[-1].arm.name, arms[-1].seeds] += 1
    if refused:
        reasons = [errors.message(e, [*search, *row]) for _, row, e in refused[:_LISTED]]
        if len(refused) == len(rows) and len(set(reasons)) == 1:  # what all arms share is said once
            raise Refused(reasons[0])
        lines = _list_refused(refused, reasons)
        lines += [f"  and {len(refused) - _LISTED} more"] if len(refused) > _LISTED else []
        raise Refused("\n".join([f"{len(refused)} of {len(rows)} arms refused, nothing was started:", *lines]))
    _check_common(planned)
    repeated = {
        id_: f"{name} is asked for by {n} rows: its trials are run once"
        for (id_, name, _), n in rows_of.items()
        if n > 1
    }
    return [_with_command(_with_note(p, repeated), search) for p in merge(planned)], ids


def try_compose(rows: Iterable[Overrides], search: Sequence[str] = ()) -> Iterator[list[Planned] | Exception]:
    """For every override list the arms that it needs, its own last, or why it is refused (see `errors.message`).

    Hydra must be initialized.
    """
    choices.refuse(search)
    composer = Composer(search)
    find = own_data.digest_finder()
    defaults = cache(partial(canonical, settle(resolved(composer(()).config), ())[0]))

    @cache
    def compose(row: tuple[str, ...]) -> list[Planned]:
        """The teachers that one row needs, then its own arm. Students of one teacher name it in the same words."""
        choices.refuse([*search, *row])
        return _arms(composer, defaults, row, lambda teachers: compose(tuple(teachers)), find)

    for row in rows:
        try:
            yield compose(tuple(row))
        except (ConfigError, DataError, HydraException, OmegaConfBaseException, ValueError, YAMLError) as e:
            yield e


def merge(planned: Iterable[Planned]) -> list[Planned]:
    """One arm an id, with the seeds of all in order; other names that an id had are noted."""
    arms: dict[str, Planned] = {}
    for p in planned:
        arms[p.arm.id] = _unite(arms[p.arm.id], p) if p.arm.id in arms else p
    return list(arms.values())


def one_by_one(rows: Sequence[Sequence[str]], hydra: Sequence[str] = ()) -> str:
    """The line for a sweep of which some arms cannot have what was typed for all: it gives that to the others only.

    Empty if no one override is at fault, or if there are too many arms for a line that people read.

    `hydra` are the overrides of Hydra's own. Hydra must be initialized.
    """
    shared = [text for text in rows[0] if all(text in row for row in rows)]
    search = overrides.search_paths(hydra)
    if len(rows) > _MOST_ARMS or any(text.startswith("hydra.sweeper.") for text in hydra):
        return ""
    refused = [isinstance(arms, Exception) for arms in try_compose(rows, search)]
    if not any(refused) or all(refused):
        return ""
    for blamed in shared:
        changed = [[text for text in row if not (no and text == blamed)] for row, no in zip(rows, refused, strict=True)]
        if any(isinstance(arms, Exception) for arms in try_compose(changed, search)):
            continue
        common = [text for text in shared if text != blamed]
        lines = (" ".join(_quote_word(text) for text in row if text not in common) for row in changed)
        quoted = ",".join('"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"' for line in lines)
        line = overrides.sweep_command([], [f"{_ROWS}=[{quoted}]", *common, *hydra])
        return f"to give {blamed} to the arms that can have it, say them one by one: {line}"
    return ""


def _list_refused(refused: Sequence[tuple[int, Overrides, Exception]], reasons: Sequence[str]) -> list[str]:
    """A line for each refused arm that has a reason here; a reason that several share is said once."""
    lines: list[str] = []
    first: dict[str, int] = {}  # reason -> the arm that is listed with it
    for (number, row, _), why in zip(refused, reasons, strict=False):
        head, *rest = why.splitlines() or [""]
        if first.setdefault(why, number) != number:
            same = f"the same as arm {first[why]}"
            head, rest = (head, [f"  {same}"]) if rest else (same, [])
        lines += [f"  arm {number} ({_format_row(row)}): {head}", *(f"  {line}" for line in rest)]
    return lines


def _format_row(row: Overrides) -> str:
    return " ".join(row) or "no overrides"


def _arms(
    composer: Composer,
    defaults: Callable[[], Mapping[str, Any]],
    row: Overrides,
    others: Callable[[Overrides], list[Planned]],
    find: own_data.Find,
) -> list[Planned]:
    """One override list's arm, after the teachers it needs, which `others` composes; `defaults`: see `make_arm`."""
    if any(parsed(text).key_or_group == "table" for text in row):
        raise ConfigError("table: is a grid, not an arm; run it with -m")
    composed = composer(row)
    settled, notes = settle(resolved(composed.config), row)
    settled, unknown = own_data.with_digest(settled, find)
    config, before = teachers.expand(settled, row, others)
    notes += [*unknown, *checked.check(config), *config_notes(config)]
    arm = make_arm(config, defaults(), composed.choices, row, command="")
    return [*before, Planned(arm, config, tuple(notes), config["teacher"])]


def _with_note(p: Planned, notes: Mapping[str, str]) -> Planned:
    """With the note on its id, if there is one."""
    return replace(p, notes=(*p.notes, notes[p.arm.id])) if p.arm.id in notes else p


def _with_command(p: Planned, search: Sequence[str]) -> Planned:
    """With the line that runs this arm alone."""
    return replace(p, arm=replace(p.arm, command=overrides.arm_command([*search, *p.arm.overrides])))


def _unite(first: Planned, second: Planned) -> Planned:
    """The first arm with the second's seeds too."""
    same = f"{second.arm.name} is the same arm as {first.arm.name}: its trials are run once"
    notes = [same] * (second.arm.name != first.arm.name)
    notes += _ignored_settings(first, second)
    also = {**first.also, second.arm.name: second.arm.overrides} if second.arm.name != first.arm.name else first.also
    first = replace(first, notes=tuple(dict.fromkeys([*first.notes, *notes])), also=also)
    united = list(dict.fromkeys([*first.seeds, *second.seeds]))
    if len(united) == len(first.seeds):
        return first
    overrides = [text for text in first.arm.overrides if parsed(text).key_or_group != "seeds"]
    overrides.append(f"seeds=[{','.join(map(str, united))}]")
    return replace(first, arm=replace(first.arm, overrides=overrides), config={**first.config, "seeds": united})


def _ignored_settings(first: Planned, second: Planned) -> list[str]:
    """Notes on where and how the second is to be run, since the trials are run as the first says."""
    kept, other = ({k: v for k, v in flatten(p.config).items() if k != "seeds"} for p in (first, second))
    return [
        f"{key}={json.dumps(other.get(key))} is left out: {first.arm.name} is run with {json.dumps(kept.get(key))}"
        for key in dict.fromkeys([*kept, *other])
        if kept.get(key) != other.get(key)
    ]


def _check_common(planned: Sequence[Planned]) -> None:
    for key in overrides.ONE_VALUE:
        values = sorted({str(p.config[key]) for p in planned})
        if len(values) > 1:
            raise ConfigError(f"{key}: has the values {', '.join(values)} in one sweep; give one, or start two sweeps")


def _quote_word(text: str) -> str:
    """One word of a line: in quotes only where it would come apart, since a shell's come around the whole."""
    return shlex.quote(text) if {*text} & {*" '\"\\\t\n#"} else text
