"""Whether a student may start: its teacher is the trial of the teacher's arm with the same seed. Needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ablation.errors import Blocked, ConfigError
from ablation.store import attempt, journal
from ablation.store.result import Damaged, look

# Of the data, what a teacher must have in common with its students; which images and crops it saw may differ.
_COMMON = ("_target_", "norm", "size")


def draws(config: Mapping[str, Any]) -> str:
    """What a trial's random numbers are derived from beside its seed: its teacher's id, or nothing (empty).

    First weights, order of the images, crops and every other draw of a student are its own, so that it repeats no
    training that taught it; with `draws: seed` they are those that every arm of the seed has, its teacher too.

    Args:
        config: Of a settled configuration, or its canonical keys.
    """
    return str(config["teacher"]) if config.get("teacher") and config.get("draws") == "own" else ""


@dataclass(frozen=True)
class Readiness:
    """How a teacher stands; unless it is done, `message` names it and says what to do."""

    state: Literal["done", "waiting", "failed", "cancelled"]
    message: str = ""


def ready(out: Path, teacher: str, seed: int) -> Readiness:
    """Whether a student with this seed may start: "waiting" if its teacher may still become done, else blocked."""
    folder = out / teacher / f"seed-{seed}"
    name = f"the teacher {teacher}, seed {seed},"
    if (result := look(folder)) is not None:
        return Readiness("failed", str(result)) if isinstance(result, Damaged) else Readiness("done")
    if (folder / attempt.CANCEL).exists():
        return Readiness("cancelled", f"{name} was cancelled; ask for it again, then for its students")
    # Of the newest attempt alone, whose journal is empty at first: what ended the one before it is made good by it.
    newest = attempt.folder(folder, attempt.latest(folder))
    last = next(reversed(journal.read(newest / journal.JOURNAL)), None)
    if last is None or last["event"] != "failed":
        return Readiness(
            "waiting", f"{name} is not done yet; train it first, by the command in {out / teacher}/arm.json"
        )
    return Readiness("failed", f"{name} failed: {last['message']}")


def blocked(out: Path, teacher: str | None, seeds: Sequence[int]) -> dict[int, Blocked]:
    """Those of these seeds that cannot be trained now for want of their teacher, and why."""
    if teacher is None:
        return {}
    states = {seed: ready(out, teacher, seed) for seed in seeds}
    return {seed: Blocked(f"seed {seed}: {s.message}") for seed, s in states.items() if s.state != "done"}


def agree(student: Mapping[str, Any], teacher: Mapping[str, Any], name: str) -> None:
    """Check that a teacher's configuration gives it the same kind of images as its student's.

    Raises:
        ConfigError: another data set, normalisation or size of the images.
    """
    for key in _COMMON:
        mine, theirs = student["data"].get(key), teacher["data"].get(key)
        if mine != theirs:
            raise ConfigError(
                f"teacher={name}: was trained with data.{key}={theirs}, the student has {mine}; a teacher answers for "
                "the student's very images, so give both the same"
            )
