"""What there is to tell about one trial, read from its files in the words of a tracker. Nothing here talks to one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ablation.config import seeds
from ablation.errors import ConfigError
from ablation.store import attempt
from ablation.store.arm_files import DamagedArm, read_arm, read_config
from ablation.store.journal import Event, events, settled
from ablation.store.result import Result, finished

SWEEPS = "sweeps"  # in an arm's folder: a file for every sweep that asked for it
# Of an arm's id and a seed: whether somebody trains this trial, or is to begin it.
Expected = Callable[[str, int], bool]
_STATUS = {"start": "RUNNING", "done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
_LEASE = 60.0  # seconds without a sign of life, or more if its process asked for more, after which it is dead


@dataclass(frozen=True)
class Record:
    """One trial: a seed folder inside the folder of its arm."""

    folder: Path
    arm: dict[str, Any]  # arm.json
    asked: dict[str, dict[str, Any]]  # sweep -> how it asked for the arm: `name` among its others, `seeds`
    first: list[str]  # seeds that the arm was first asked for with, of folders from before sweeps were noted
    title: str  # what tells the arm from the others of its sweep, in few words
    commit: str  # empty if not known
    events: list[Event]
    result: Result  # empty until the trial is finished
    dead: bool = False  # nobody trains it any more, though its journal has no end: its process was killed
    expected: Expected = field(default=lambda id_, seed: True)

    @property
    def seed(self) -> str:
        """The seed, from the folder's name."""
        return self.folder.name.removeprefix("seed-")

    @property
    def name(self) -> str:
        """For people: the seed first, for the page of a tracker shows some fifteen characters of it below its arm."""
        return f"s{self.seed} {self.title[:230]}"

    @property
    def seeds(self) -> set[str]:
        """The seeds that sweeps have asked for."""
        return {self.seed, *self.first, *(str(seed) for asked in self.asked.values() for seed in asked["seeds"])}

    @property
    def params(self) -> dict[str, str]:
        """What was chosen in each group, and the values that differ from the defaults."""
        return {**self.groups, **{key: str(value) for key, value in self.arm["params"].items()}}

    @property
    def groups(self) -> dict[str, str]:
        """What was chosen in each group, "none" if nothing."""
        return {group: str(choice) or "none" for group, choice in self.arm["groups"].items()}

    @property
    def epochs(self) -> list[Event]:
        """The epoch events that nothing can take back any more."""
        return settled(self.events)

    @property
    def last(self) -> Event:
        """The last event that began or ended an attempt."""
        return next((e for e in reversed(self.events) if e["event"] in _STATUS), {"event": "start"})

    @property
    def status(self) -> str:
        """RUNNING, FINISHED, FAILED or KILLED. A trial is finished when both its journal and its end marker say so."""
        status = _STATUS[self.last["event"]]
        if status == "FINISHED" and not self.result:
            status = "RUNNING"
        return "KILLED" if status == "RUNNING" and self.dead else status

    @property
    def started(self) -> int:
        """When the first attempt began, ms since 1970."""
        return stamp(self.events[0])

    @property
    def ended(self) -> int | None:
        """When the last attempt ended, ms since 1970; None while it runs. Never before it began: clocks are set."""
        return (
            None if self.status == "RUNNING" else max(self.started, stamp(self.events[-1] if self.dead else self.last))
        )

    @property
    def tags(self) -> dict[str, str]:
        """Which trial this is. All is fixed from its start but `sweeps`, which others may join."""
        source = {"mlflow.source.git.commit": self.commit} if self.commit else {}
        own = {"kind": "trial", "seed": self.seed, "started": str(self.started)}
        return {**self.arm_tags, **{f"ablation.{key}": value for key, value in own.items()}, **source}

    @property
    def arm_tags(self) -> dict[str, str]:
        """Which arm it belongs to."""
        own = {
            "kind": "arm",
            "id": self.arm["id"],
            "name": self.arm["name"],
            "sweep": self.arm["sweep"],
            "sweeps": ",".join(sorted({self.arm["sweep"], *self.asked})),
            "command": self.arm.get("command", ""),
        }
        return {**self.groups, **{f"ablation.{key}": value for key, value in own.items()}}

    @property
    def words(self) -> dict[str, str]:
        """What is known at the end besides numbers: device, precision, data set, or why the trial failed."""
        words = {key: str(self.last.get(key, "")) for key in ("cause", "message")} if self.status == "FAILED" else {}
        return {
            f"ablation.{key}": text for key, text in {**words, **flat(self.result)}.items() if isinstance(text, str)
        }


def load(folder: Path, title: str = "", expected: Expected | None = None) -> Record:
    """Read a seed folder. `title` is for arms whose sweep has not said by which name it knows them.

    Without `expected` somebody is to begin all seeds that have not begun, and trains those that have not ended.

    Raises:
        OSError, ValueError, DamagedArm: `arm.json` beside it, or `provenance.json`, is missing or broken.
    """
    provenance = folder.parent / "provenance.json"
    arm = read_arm(folder.parent)
    asked = dict(_asked(folder.parent / SWEEPS))
    record = Record(
        folder=folder,
        arm=arm,
        asked=asked,
        first=[] if asked else _configured(folder.parent),
        title=asked[arm["sweep"]]["name"] if arm["sweep"] in asked else title or arm["name"],
        commit=str((json.loads(provenance.read_text()) if provenance.exists() else {}).get("commit") or ""),
        events=events(folder),
        result=finished(folder) or {},
    )
    if expected is None:
        return record
    newest = attempt.folder(folder, attempt.latest(folder))
    open_ = record.status == "RUNNING" and not attempt.live(newest, _LEASE)
    return replace(record, expected=expected, dead=open_ and not expected(arm["id"], int(record.seed)))


def _asked(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """By sweep; a damaged file, which says less of a trial than its own do, is passed over."""
    for path in sorted(folder.glob("*.json")):
        try:
            said = json.loads(path.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(said, dict) and {"name", "seeds"} <= said.keys():
            yield unquote(path.stem), said


def _configured(arm: Path) -> list[str]:
    """The seeds of an arm's configuration; none if it does not say."""
    try:
        return [str(seed) for seed in seeds(read_config(arm)["seeds"])]
    except (OSError, DamagedArm, KeyError, TypeError, ConfigError):
        return []


def stamp(event: Event) -> int:
    """When an event was written, ms since 1970."""
    return round(1000 * float(event["time"]))


def numbers(values: dict[str, Any]) -> dict[str, float]:
    """The numeric values, by name."""
    return {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}


def flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, with dotted names."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return out
