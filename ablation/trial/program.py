"""What launching needs of a trial: a small protocol, which training implements. Nothing here imports torch.

A program checks a configuration, says what it reads, since that is part of the id, and makes trials in a folder. How a
trial stands and what came of it is asked of no program: it is read from the folder, wherever that is seen and long
after the process has ended. So every program leaves there what `ablation.store` reads:

- an attempt in the seed's folder (`claim`), whose heartbeat says that somebody makes it;
- its journal (`journal`): the start, what was measured in each epoch, and how it ended;
- `result.json` (`result`), last of all: with it the trial is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from ablation.store.result import Outcomes
from ablation.trial.observer import Watch


class Program(Protocol):
    """Who makes trials. A configuration is composed, with plain values."""

    def check(self, config: Mapping[str, Any]) -> list[str]:
        """Refuse what cannot be run, before anything is started; what a person should know of the rest.

        Raises:
            ConfigError: names the key, the value and the way out.
        """

    def content(self, config: Mapping[str, Any], tell: Callable[[str], None]) -> str | None:
        """A digest of what it reads at `data.path`, which stands for the path in the id; None if that is not here.

        `tell` is told what takes long.

        Raises:
            DataError: what is there cannot be used.
        """

    def require(self, config: Mapping[str, Any]) -> None:
        """Refuse a configuration if what it reads at `data.path` is not here.

        Raises:
            DataError: it is not.
        """

    def acts_later(self, config: Mapping[str, Any], key: str) -> bool:
        """Whether what a dotted key sets may act only later than in the first steps, or never in a good training."""

    def run(
        self,
        config: Mapping[str, Any],
        folder: Path,
        watch: Watch,
        stop: Callable[[], bool] = lambda: False,
        supersede: Collection[str] = (),
    ) -> Outcomes:
        """Make every trial that has no result yet, from where it stopped; one outcome a seed.

        Attempts of the SLURM jobs in `supersede` are taken over. The outcome of a seed that another process makes is
        Busy, or Fenced if it was this one's before; of one whose teacher, in the folder beside this one, is not done,
        Blocked; of one whose result cannot be read, Damaged; of one whose folder goes while it is made, Deleted.

        Raises:
            ConfigError, DataError: before anything is begun.
            Stopped: asked to stop; the state is saved.
        """


def program_of(config: Mapping[str, Any]) -> Program:
    """The program of a configuration. It is imported only now, which may take seconds, and may print."""
    from ablation.trial import training

    return training
