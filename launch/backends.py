"""Where the trials of a submission are trained: its launcher's YAML names the module that the verbs ask.

A launcher is a YAML in `conf/hydra/launcher/` and what that names: a function `run` that takes the arms, and a module
that has the functions of `Backend`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from rich.console import Console

from ablation.errors import AblationError, ConfigError
from ablation.track.trial_files import Expected
from launch.status.outcome import Outcome, TrialKey
from launch.status.sweep_status import AskPending, Pending, SweepStatus, Trial, sweep_status
from launch.sweep.launcher_options import LAUNCHER, typed
from launch.sweep.submission import Submission, load_all

_LOCAL = "launch.workers.backend"
_EARLIER = {"local": _LOCAL, "slurm": "launch.slurm.backend"}  # by `kind`, which submissions had before `backend`


@dataclass(frozen=True)
class Retried:
    """What came of a request to try trials again."""

    code: int  # exit code
    jobs: Sequence[str] = ()  # that were submitted
    refused: Mapping[str, str] = field(default_factory=dict)  # by label: why
    outcomes: Mapping[TrialKey, Outcome] = field(default_factory=dict)  # of what was trained here and now
    others: Sequence[str] = ()  # labels of those that somebody else had tried again meanwhile, and this request did not


class Rounds(Protocol):
    """What a sweep needs from whoever looks on."""

    trouble: str  # why nothing more can be done although something is left; empty: there is none

    def make_due(self) -> None:
        """Do what is due."""

    def over(self) -> bool:
        """Whether nothing is left to do, or nothing can be done."""


class Backend(Protocol):
    """A module of a launcher. All of these raise AblationError if who trains cannot be asked."""

    def newest(self, submission: Submission) -> int:
        """The number of what was started last: what somebody has seen who then asks to try trials again."""

    def pending(self, submissions: Sequence[Submission]) -> Pending:
        """What they (oldest first) will start without being asked again, and what keeps them from it."""

    def cancel(self, submission: Submission) -> list[str]:
        """Take back what waits, once its trials carry the cancel marker; returns what was taken back."""

    def strays(self, submission: Submission) -> list[str]:
        """What waits in this sweep's name and belongs to no submission any more."""

    def retry(self, submission: Submission, trials: Sequence[Trial], seen: int, console: Console) -> Retried:
        """Try trials again, unless what was started after `seen` has them."""

    def rounds(self, submissions: Sequence[Submission], print_line: Callable[[str], None]) -> Rounds:
        """What is to be done while somebody looks on; `print_line` gets what happens."""

    def upload(self, submission: Submission) -> list[str]:
        """Upload to MLflow what who trains could not; returns lines to print."""


def backend_of(submission: Submission) -> Backend:
    """The backend of the launcher that started a submission.

    Raises:
        AblationError: its module cannot be imported.
    """
    launcher = submission.launcher
    name = launcher.get("backend") or _EARLIER.get(launcher.get("kind", ""), _LOCAL)
    try:
        return cast("Backend", import_module(name))
    except ImportError as e:
        raise AblationError(
            f"{submission.folder}: its launcher's module {name} cannot be imported ({e}); put its folder on PYTHONPATH"
        ) from e


def require_backend(options: Mapping[str, Any]) -> None:
    """Refuse a launcher whose YAML, or what was typed, names no module that the verbs could ask later.

    Raises:
        ConfigError: it cannot be imported, or lacks functions.
    """
    if "backend" not in options:  # one that starts nothing, or whose trials are asked of where the local one keeps them
        return
    name = options["backend"]
    try:
        module = import_module(name)
    except (ImportError, ValueError, TypeError, AttributeError) as e:
        why = f"cannot be imported ({str(e).partition(chr(10))[0]})"
    else:
        lacking = [each for each in vars(Backend) if not each.startswith("_") and each not in vars(module)]
        why = f"has no {', '.join(lacking)}" if lacking else ""
    if why:
        raise ConfigError(f"{LAUNCHER}.backend={typed(name)}: {why}; give a module such as {_LOCAL}")


def by_backend(submissions: Sequence[Submission]) -> Iterator[tuple[Backend, list[Submission]]]:
    """Each backend with its submissions, in their order."""
    groups: dict[Backend, list[Submission]] = {}
    for submission in submissions:
        groups.setdefault(backend_of(submission), []).append(submission)
    yield from groups.items()


def pending(submissions: Sequence[Submission]) -> AskPending:
    """What is still to come of the submissions of a sweep (oldest first); asked once, when it is called."""

    @cache
    def ask() -> Pending:
        found = Pending()
        for backend, own in by_backend(submissions):
            part = backend.pending(own)
            found.awaited |= part.awaited
            found.waiting |= part.waiting
            found.decisions |= part.decisions
            found.trouble += part.trouble
        return found

    return ask


def expected(out: Path) -> Expected:
    """Of a trial under `out` that has not ended: whether somebody is about to begin it.

    Drivers and SLURM are asked once, when it matters; where they cannot be, it is taken for granted.
    """

    @cache
    def awaited() -> set[TrialKey] | None:
        try:
            found = pending(load_all(out)[0])()
        except AblationError:
            return None
        return None if found.trouble else found.awaited

    def ask(id_: str, seed: int) -> bool:
        known = awaited()
        return known is None or (id_, seed) in known

    return ask


def status_of(submissions: Sequence[Submission]) -> SweepStatus:
    """How every trial stands that these submissions (oldest first) asked for."""
    return sweep_status(submissions, pending(submissions))
