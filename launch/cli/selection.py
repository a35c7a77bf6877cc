"""Which sweep a verb is about, and which of its trials: by what was typed after the verb."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.errors import HydraException

from ablation.build import near
from ablation.config import MANY
from ablation.errors import AblationError, ConfigError
from ablation.store.file_errors import unwritable
from ablation.store.identity import flatten
from launch.backends import backend_of, status_of
from launch.compose.naming import ArmNames
from launch.compose.overrides import parsed
from launch.status.sweep_status import Trial
from launch.sweep.submission import Submission, load_all, submissions


@dataclass(frozen=True)
class SelectedSweep:
    """A sweep as its files tell it."""

    name: str
    out: Path
    submissions: list[Submission]  # oldest first
    trials: list[Trial]  # those that were chosen
    trouble: list[str] = field(default_factory=list)  # what could not be read or asked, and why
    newest: list[int] = field(default_factory=list)  # of each submission, before its trials were looked at: see Backend

    @property
    def names(self) -> ArmNames:
        """What people call its arms, those too that were not chosen."""
        return self.submissions[-1].names


@dataclass(frozen=True)
class Filter:
    """Trials with one of these states, one of these ids, and all of these values."""

    states: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()  # beginnings of "<id>/seed-K", or of the id; "<id>/K" will do
    where: tuple[str, ...] = ()  # key=value

    @property
    def any(self) -> bool:
        """Whether it leaves anything out."""
        return bool(self.states or self.ids or self.where)

    def __call__(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that pass, in their order.

        Raises:
            ConfigError: no configuration has such a key, or no trial such an id.
        """
        for prefix in self.ids:
            if not any(_has_prefix(t, prefix) for t in trials):
                raise ConfigError(f"--id {prefix}: no such trial; {near(prefix, {t.planned.arm.id for t in trials})}")
        wanted = [_parse(text) for text in self.where]
        for key, _ in wanted:
            keys = {k for t in {t.planned.arm.id: t for t in trials}.values() for k in _values(t)}
            if key not in keys:
                raise ConfigError(f"--where {key}: no trial has this key; {near(key, keys)}")
        return [t for t in trials if self._passes(t, wanted)]

    def _passes(self, t: Trial, wanted: Sequence[tuple[str, Any]]) -> bool:
        return (
            (not self.states or t.state.kind in self.states)
            and (not self.ids or any(_has_prefix(t, prefix) for prefix in self.ids))
            and all(_matches(_values(t), key, value) for key, value in wanted)
        )


def select(out: Path, name: str | None, chosen: Filter) -> SelectedSweep:
    """The sweep of this name, or the one submitted last, with the trials chosen.

    Raises:
        ConfigError: no such sweep, id or key; the message has the nearest names.
        AblationError: none of its submissions can be read.
    """
    folders = submissions(out, name)
    if not folders:
        names = {folder.parent.name for folder in submissions(out)}
        if name and names:
            raise ConfigError(f"{name}: no such sweep under {out}; {near(name, names)}")
        raise ConfigError(f"{out}: no sweep was started there; start one with -m, or name the folder with --out")
    name = name or folders[-1].parent.name
    loaded, damaged = load_all(out, name)
    if not loaded:
        raise AblationError("; ".join(damaged))
    newest = [backend_of(submission).newest(submission) for submission in loaded]
    trials, trouble = status_of(loaded)
    return SelectedSweep(name, out, loaded, chosen(trials), [*damaged, *trouble], newest)


def refuse_what_is_closed(out: Path, trials: Sequence[Trial]) -> None:
    """Refuse to change trials before any is changed, if the files of one are another user's.

    Raises:
        AblationError: some are; the message says whose.
    """
    for folder in (folder for t in trials for folder in (t.folder.parent, t.folder) if folder.exists()):
        if why := unwritable(folder, out):
            raise AblationError(f"{folder}: {why}")


def _has_prefix(t: Trial, prefix: str) -> bool:
    arm, slash, seed = prefix.partition("/")
    if slash and seed:
        return t.planned.arm.id.startswith(arm) and seed.removeprefix("seed-") == str(t.seed)
    return t.planned.arm.id.startswith(arm)


def _values(t: Trial) -> Mapping[str, Any]:
    """What a trial can be chosen by: its configuration, and its options by group."""
    return {**flatten(t.planned.config), **t.planned.arm.groups}


def _parse(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--where {text}: give key=value, such as --where aug=mixup or --where optim.lr=0.1")
    try:
        read = parsed(text)  # as the same words were read that made the trial
        return key, value if read.is_sweep_override() else read.value()
    except HydraException as e:
        raise ConfigError(f"--where {text}: {value} is no value; close its brackets and quotes") from e


def _matches(values: Mapping[str, Any], key: str, wanted: Any) -> bool:
    """Equal; of a group with many options, `aug=mixup` chooses every arm that has mixup, `aug=[]` those with none."""
    if key in MANY:
        options = [] if values[key] == "none" else values[key].split("+")
        return not options if wanted in ([], None, "none") else _listed(wanted) <= set(options)
    return key in values and (values[key] == wanted or str(values[key]) == str(wanted))


def _listed(wanted: Any) -> set[str]:
    return {str(w) for w in (wanted if isinstance(wanted, list) else str(wanted).split("+"))}
