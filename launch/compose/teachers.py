"""Which arm is a student's teacher, and the arms that have to be trained before the student.

`teacher=` names another configuration: `same`, overrides relative to the student's own, or an id. `rounds=n` is a
chain: the teacher of round n is the same student in round n-1, that of round 1 is the one named.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError
from ablation.store.identity import SURROUNDINGS, identify, made_under, revisions
from ablation.trial.program import program_of
from ablation.trial.teacher import agree, ready
from launch.compose.arm import Arm, Config, Planned, Work
from launch.compose.naming import rules
from launch.compose.overrides import Overrides, parsed

if TYPE_CHECKING:
    from launch.compose.arm import Planned

_STUDENTS = ("teacher", "rounds", "draws", "loss")  # what a student's overrides say of how it learns
_SHARED = ("seeds", "out", "sweep")  # what a teacher has from its student
_ID = re.compile(r"[0-9a-f]{4,16}")
_ROUNDS = 50  # the longest chain; each round is an arm of its own, composed inside the next
_BEFORE = {"teacher": None, "rounds": 1, "draws": "seed"}  # of runs from before there was a choice
_WAYS = "give teacher=same, teacher='model=resnet56 epochs=30' or the id of a run"


def expand(
    config: Config, row: Overrides, compose: Callable[[Overrides], list[Planned]]
) -> tuple[Config, list[Planned]]:
    """The student's configuration with its teacher's id, and the arms to be trained before, its teacher's last.

    `compose` gives an override list's arms, that list's own last. Without a teacher nothing changes.

    Raises:
        ConfigError: no such teacher, or one that is no use to this student.
    """
    rounds, text = config["rounds"], _asked(config, row)
    if type(rounds) is not int or not 1 <= rounds <= _ROUNDS:
        raise ConfigError(f"rounds={rounds}: give a whole number of at least 1 and at most {_ROUNDS}")
    if text is None:
        return config, []  # the program refuses rounds without a teacher
    if rounds > 1:
        arms = compose([*_without(row, ["rounds"]), f"rounds={rounds - 1}"])
    else:
        arms = _earlier(config, text) if _ID.fullmatch(text) else compose(teachers_row(row, text))
    teacher = arms[-1]
    agree(config, teacher.config, text)
    return {**config, "teacher": teacher.arm.id, "rounds": 1}, arms


def teachers_row(row: Overrides, text: str) -> list[str]:
    """The overrides of a teacher: the student's without what they say of loss and teacher, then those in `text`.

    An option that `text` chooses anew takes the student's settings of that group with it.

    Raises:
        ConfigError: `text` is not made of overrides, or sets what a teacher has from its student.
    """
    given = [] if text == "same" else _words(text)
    chosen = [parsed(word).key_or_group for word in given]
    for key, word in zip(chosen, given, strict=True):
        if key in _SHARED:
            raise ConfigError(f"teacher={text}: {word} is for the student to say; its teacher has the same {key}")
    # What a recipe says of these is undone too.
    neutral = [f"{key}={value}" for key, value in (("teacher", "null"), ("rounds", 1), ("loss", "ce"))]
    undone = [override for override in neutral if override.partition("=")[0] not in chosen]
    return [*_without(row, [*_STUDENTS, *chosen]), *undone, *given]


def _words(text: str) -> list[str]:
    words = shlex.split(text)
    wrong = next((word for word in words or [""] if not re.match(r"~\w|\+*[\w./@]+=", word)), None)
    if wrong is not None:
        raise ConfigError(f"teacher={text}: {wrong or 'nothing'} is neither an override nor an id; {_WAYS}")
    return words


def _asked(config: Config, row: Overrides) -> str | None:
    """The teacher as it was asked for; on the command line as it was typed, since some ids read as numbers."""
    typed = [text for text in row if parsed(text).key_or_group == "teacher"]
    teacher = config["teacher"]
    if teacher is not None and typed:
        raw = typed[-1].partition("=")[2]
        return str(parsed(typed[-1]).value()) if raw[:1] in ("'", '"') else raw
    if teacher is not None and not isinstance(teacher, str):
        raise ConfigError(f"teacher={teacher!r}: is not text; put it in quotes")
    return teacher


def _without(row: Overrides, keys: Sequence[str]) -> list[str]:
    """The overrides that set none of these keys, and nothing inside those that are groups."""
    inside = tuple(f"{key}." for key in keys if key in (*GROUPS, *MANY))
    named = [(parsed(text).key_or_group, text) for text in row]
    return [text for key, text in named if key not in keys and not key.startswith(inside)]


def _earlier(student: Config, prefix: str) -> list[Planned]:
    """An arm of an earlier run, after its own teachers; of those what is still to be trained, and itself."""
    out = Path(student["out"])
    found = sorted(path for path in out.glob(f"{prefix}*") if _ID.fullmatch(path.name) and path.is_dir())
    if len(found) != 1:
        many = (
            f"{', '.join(p.name for p in found)} begin so; give more digits"
            if found
            else f"no run in {out} has this id"
        )
        raise ConfigError(f"teacher={prefix}: {many}, or {_WAYS}")
    folder = found[0]
    here = {key: student[key] for key in SURROUNDINGS if key in student}
    try:
        arm = Arm(**json.loads((folder / "arm.json").read_bytes()))
        config = {**_BEFORE, **yaml.safe_load((folder / "config.yaml").read_bytes()), **here}
        made = made_under(folder.name, config, rules())
        named = identify(config, replace(rules(), revised=made))
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as e:
        way = "run it again by its command, or take another teacher"
        raise ConfigError(f"teacher={prefix}: {folder} is not whole ({' '.join(str(e).split())}); {way}") from e
    if named != folder.name:
        raise ConfigError(
            f"teacher={prefix}: {folder}/config.yaml is not what its id is made from: it was edited, or was run under "
            "earlier rules (see CHANGELOG.md)"
        )
    planned = Planned(replace(arm, sweep=student["sweep"]), config, teacher=config["teacher"])
    if all(ready(out, folder.name, seed).state == "done" for seed in planned.seeds):
        return [planned]
    if outdated := [
        f"revision {n} of {option}" for option, n in revisions(config, rules()).items() if n != made[option]
    ]:
        raise ConfigError(
            f"teacher={prefix}: {folder} was made before {' and '.join(outdated)} (see CHANGELOG.md), so it cannot be "
            "trained further or with other seeds; take one that is made today, by teacher='model=resnet56 epochs=30'"
        )
    program_of(config).check(config)  # else today's code may not be able to train it
    return [*(_earlier(student, planned.teacher) if planned.teacher else []), planned]


def stages(planned: Sequence[Planned]) -> dict[str, int]:
    """Arm id -> its stage: 0 without a teacher among these arms, else one more than the teacher's.

    Raises:
        ConfigError: teachers form a circle, as only files edited by hand can.
    """
    teachers = {p.arm.id: p.teacher for p in planned}
    found: dict[str, int] = {}
    for arm in teachers:
        chain = [arm]
        while (teacher := teachers[chain[-1]]) in teachers and teacher is not None and teacher not in found:
            if teacher in chain:
                raise ConfigError(f"teacher: the arms {', '.join(chain)} wait for each other")
            chain.append(teacher)
        for member in reversed(chain):
            above = teachers[member]
            found[member] = found[above] + 1 if above is not None and above in found else 0
    return found


def order(planned: Sequence[Planned]) -> list[Work]:
    """Stage by stage; within a stage the first work of every arm, then the second, and so on."""
    depth = stages(planned)
    keyed = [(depth[p.arm.id], turn, work) for p in planned for turn, work in enumerate(p.works)]
    return [work for *_, work in sorted(keyed, key=lambda k: k[:2])]
