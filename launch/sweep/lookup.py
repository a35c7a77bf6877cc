"""Arms under `out`, for verbs: found by the beginning of an id or by a name, with all that their files say of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ablation.build import near
from ablation.errors import ConfigError
from launch.compose.arm import full_names
from launch.compose.naming import common_and_distinct, short_names
from launch.sweep.earlier_arms import EarlierArms
from launch.sweep.submission import Submission, load_all

_ID = re.compile(r"[0-9a-f]{1,16}")


@dataclass(frozen=True)
class ArmRecord:
    """What is known of an arm that was run or submitted."""

    id: str
    folder: Path
    description: Mapping[str, Any]  # what arm.json says; empty if that is lost
    config: Mapping[str, Any] | None  # None if it is lost
    submissions: list[Submission]  # that asked for it, oldest first
    trouble: list[str] = field(default_factory=list)  # what is damaged

    @property
    def full_name(self) -> str:
        """What the command line chose."""
        return str(self.description.get("name", "(its arm.json is damaged)"))

    @property
    def name(self) -> str:
        """What people call it: in the sweep that asked for it last, if one did, else with nothing left out."""
        if self.submissions:
            return self.submissions[-1].names.short[self.id]
        return short_names({self.id: self.full_name}).short[self.id] if self.description else self.full_name

    @property
    def seeds(self) -> list[int]:
        """The trials that were begun or asked for."""
        begun = {int(p.name[5:]) for p in self.folder.glob("seed-*") if p.name[5:].isdecimal()}
        return sorted(begun.union(*(s.arms[self.id].seeds for s in self.submissions)))


class Archive:
    """Everything under `out`: run folders, and submissions, of one sweep or of all."""

    def __init__(self, out: Path, sweep: str | None = None) -> None:
        self.out = out
        self.submissions, self.trouble = load_all(out, sweep)
        self.names = full_names(p for s in self.submissions for p in s.arms.values())
        folders = () if sweep or not out.is_dir() else (p.name for p in out.iterdir())
        self._ids = {*self.names, *filter(_ID.fullmatch, folders)}

    def find(self, text: str) -> ArmRecord:
        """The arm whose id begins so, or whose name is this: whole, without what all share, or as it is shown.

        Raises:
            ConfigError: there is none, and the nearest; or there are several, and which.
        """
        matches = {i for i in self._ids if i.startswith(text)} if _ID.fullmatch(text) else set()
        matches = matches or {id_ for names in self._namings() for id_, name in names.items() if name == text}
        if len(matches) > 1:
            listed = [f"  {id_}  {self.names.get(id_, '')}".rstrip() for id_ in sorted(matches)]
            raise ConfigError(
                "\n".join([f"{text}: could be any of these {len(matches)}; give more of the id:", *listed])
            )
        if not matches:
            options = self._ids if _ID.fullmatch(text) else {n for names in self._namings() for n in names.values()}
            options |= (sweeps := {s.name for s in self.submissions})
            if text in sweeps:
                raise ConfigError(f"{text}: is a sweep, and a run is wanted; for all of its runs give --sweep {text}")
            raise ConfigError(f"{text}: no such run or sweep under {self.out}; {near(text, sorted(options)[:1000])}")
        return self.record(matches.pop())

    def all(self) -> list[ArmRecord]:
        """Every arm that there is."""
        return [self.record(id_) for id_ in sorted(self._ids)]

    def _namings(self) -> Iterator[Mapping[str, str]]:
        yield self.names
        for submission in self.submissions:
            names = full_names(submission.arms.values())
            yield from (common_and_distinct(names)[1], short_names(names).short)
        for submission in {s.name: s for s in self.submissions}.values():
            yield submission.names.short

    def record(self, id_: str) -> ArmRecord:
        """What is known of an id: its folder says it, or else the newest submission does."""
        requesting = [s for s in self.submissions if id_ in s.arms]
        folder, files = self.out / id_, EarlierArms(self.out)
        description, config = files.arm(folder), files.config(folder)
        if requesting:
            planned = requesting[-1].arms[id_]
            description, config = description or vars(planned.arm), config or planned.config
        return ArmRecord(id_, folder, description or {}, config, requesting, [*self.trouble, *files.trouble])


def find_trial(archive: Archive, text: str) -> tuple[ArmRecord, list[int]]:
    """The arm and seeds that `ID`, `ID/K` or `ID/seed-K` names.

    Raises:
        ConfigError: there is no such arm or seed.
    """
    id_, slash, seed = text.partition("/")
    if not slash or not _ID.fullmatch(id_):
        record = archive.find(text)
        return record, record.seeds
    record = archive.find(id_)
    number = seed.removeprefix("seed-")
    if not number.isdecimal() or int(number) not in record.seeds:
        raise ConfigError(f"{text}: no such seed; {record.id} has {', '.join(map(str, record.seeds)) or 'none'}")
    return record, [int(number)]
