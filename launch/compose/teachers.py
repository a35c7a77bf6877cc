"""Students and teachers: which arm is a student's teacher, and which arms have to be trained before the student.

`teacher=` names another configuration: `same`, overrides relative to the student's own, or an id. `rounds=n` is a
chain: the teacher of round n is the same student in round n-1, that of round 1 is the one named. A student's trial
waits for its teacher's of the same seed; so a sweep has stages.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ablation.config import GROUPS, MANY
from ablation.errors import ConfigError
from ablation.store import arm_files
from ablation.store.arm_files import DamagedArm
from ablation.store.identity import SURROUNDINGS, identify, made_under, revisions
from ablation.trial import checked
from ablation.trial.teacher import agree, ready
from launch.compose.arm import Arm, Config, Planned, Work
from launch.compose.naming import rules
from launch.compose.overrides import Overrides, parsed

_OF_STUDENTS = ("teacher", "rounds", "draws", "loss")  # what a student's overrides say of how it learns
_SHARED = ("seeds", "out", "sweep")  # what a teacher has from its student
_ID = re.compile(r"[0-9a-f]{4,16}")
_ROUNDS = 50  # the longest chain; each round is an arm of its own, composed inside the next
_OLD_DEFAULTS = {"teacher": None, "rounds": 1, "draws": "seed"}  # of runs from before there was a choice
_WAY_OUT = "give teacher=same, teacher='model=resnet56 epochs=30' or the id of a run"


def expand(
    config: Config, row: Overrides, compose: Callable[[Overrides], list[Planned]]
) -> tuple[Config, list[Planned]]:
    """The student's configuration with its teacher's id, and the arms to be trained before, its teacher's last.

    `compose` gives an override list's arms, that list's own last. Without a teacher nothing changes.

    Raises:
        ConfigError: no such teacher, or one that is no use to this student.
    """
    rounds, text = config["rounds"], _requested(config, row)
    if type(rounds) is not int or not 1 <= rounds <= _ROUNDS:
        raise ConfigError(f"rounds={rounds}: give a whole number of at least 1 and at most {_ROUNDS}")
    if text is None:
        return config, []  # the program refuses rounds without a teacher
    if rounds > 1:
        arms = compose([*_without_keys(row, ["rounds"]), f"rounds={rounds - 1}"])
    else:
        arms = _earlier_run(config, text) if _ID.fullmatch(text) else compose(teacher_overrides(row, text))
    teacher = arms[-1]
    agree(config, teacher.config, text)
    return {**config, "teacher": teacher.arm.id, "rounds": 1}, arms


def teacher_overrides(row: Overrides, text: str) -> list[str]:
    """The overrides of a teacher: the student's without what they say of loss and teacher, then those in `text`.

    An option that `text` chooses anew takes the student's settings of that group with it.

    Raises:
        ConfigError: `text` is not made of overrides, or sets what a teacher has from its student.
    """
    given = [] if text == "same" else _split_words(text)
    chosen = [parsed(word).key_or_group for word in given]
    for key, word in zip(chosen, given, strict=True):
        if key in _SHARED:
            raise ConfigError(f"teacher={text}: {word} is for the student to say; its teacher has the same {key}")
    # What a recipe says of these is undone too.
    neutral = [f"{key}={value}" for key, value in (("teacher", "null"), ("rounds", 1), ("loss", "ce"))]
    undone = [override for override in neutral if override.partition("=")[0] not in chosen]
    return [*_without_keys(row, [*_OF_STUDENTS, *chosen]), *undone, *given]


def stages(planned: Sequence[Planned]) -> dict[str, int]:
    """Arm id -> its stage: 0 without a teacher among these arms, else one more than the teacher's.

    Raises:
        ConfigError: teachers form a circle, as only files edited by hand can.
    """
    teachers = {p.arm.id: p.teacher for p in planned}
    stage: dict[str, int] = {}
    for arm in teachers:
        chain = [arm]
        while (teacher := teachers[chain[-1]]) in teachers and teacher is not None and teacher not in stage:
            if teacher in chain:
                raise ConfigError(f"teacher: the arms {', '.join(chain)} wait for each other")
            chain.append(teacher)
        for member in reversed(chain):
            above = teachers[member]
            stage[member] = stage[above] + 1 if above is not None and above in stage else 0
    return stage


def order(planned: Sequence[Planned]) -> list[Work]:
    """Stage by stage; within a stage the first work of every arm, then the second, and so on."""
    depth = stages(planned)
    keyed = [(depth[p.arm.id], turn, work) for p in planned for turn, work in enumerate(p.works)]
    return [work for *_, work in sorted(keyed, key=lambda k: k[:2])]


def _requested(config: Config, row: Overrides) -> str | None:
    """The teacher that a configuration names; if it was typed, letter by letter, since some ids read as numbers."""
    typed = [text for text in row if parsed(text).key_or_group == "teacher"]
    teacher = config["teacher"]
    if teacher is not None and typed:
        raw = typed[-1].partition("=")[2]
        return str(parsed(typed[-1]).value()) if raw[:1] in ("'", '"') else raw
    if teacher is not None and not isinstance(teacher, str):
        raise ConfigError(f"teacher={teacher!r}: is not text; put it in quotes")
    return teacher


def _split_words(text: str) -> list[str]:
    words = shlex.split(text)
    wrong = next((word for word in words or [""] if not re.match(r"~\w|\+*[\w./@]+=", word)), None)
    if wrong is not None:
        raise ConfigError(f"teacher={text}: {wrong or 'nothing'} is neither an override nor an id; {_WAY_OUT}")
    return words


def _without_keys(row: Overrides, keys: Sequence[str]) -> list[str]:
    """The overrides that set none of these keys, and nothing inside those that are groups."""
    inside = tuple(f"{key}." for key in keys if key in (*GROUPS, *MANY))
    named = [(parsed(text).key_or_group, text) for text in row]
    return [text for key, text in named if key not in keys and not key.startswith(inside)]


def _earlier_run(student: Config, prefix: str) -> list[Planned]:
    """The arm of an earlier run whose id begins so, after those of its own teachers that are still to be trained."""
    out = Path(student["out"])
    folders = sorted(path for path in out.glob(f"{prefix}*") if _ID.fullmatch(path.name) and path.is_dir())
    if len(folders) != 1:
        many = (
            f"{', '.join(p.name for p in folders)} begin so; give more digits"
            if folders
            else f"no run in {out} has this id"
        )
        raise ConfigError(f"teacher={prefix}: {many}, or {_WAY_OUT}")
    folder = folders[0]
    here = {key: student[key] for key in SURROUNDINGS if key in student}
    try:
        arm = Arm(**arm_files.read_arm(folder))
        config = {**_OLD_DEFAULTS, **arm_files.read_config(folder), **here}
        made = made_under(folder.name, config, rules())
        named = identify(config, replace(rules(), revised=made))
    except (OSError, DamagedArm, ValueError, TypeError, AttributeError) as e:
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
    checked.check(config)  # else today's code may not be able to train it
    return [*(_earlier_run(student, planned.teacher) if planned.teacher else []), planned]
