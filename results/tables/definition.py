"""What a table asks for: its lines, in the words of whoever asks. What came out is looked up in MLflow by id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of a table: an arm, and what somebody else reported of it."""

    label: str  # unique in its table
    id: str | None  # of the arm; None if it cannot be composed
    seeds: tuple[int, ...]  # asked for
    name: str = ""  # what sets the arm apart, as overrides
    command: str = ""  # runs this arm alone
    config: Mapping[str, Any] = field(default_factory=dict)  # canonical dotted keys of the arm; empty without an id
    reported: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # metric -> numbers, accuracies in percent
    against: str | None = None  # label of the line that it is compared with; None: with none
    fixed: bool = False  # whether `against` is said of this line alone, so that another baseline leaves it
    flags: tuple[str, ...] = ()  # of conf/table/_flags.yaml, such as same-config
    notes: tuple[str, ...] = ()  # what the line really tested, said in footnotes
    lacks: str = ""  # why it cannot be composed: "model=lenet: no such option"


@dataclass(frozen=True)
class Definition:
    """A table before anything is known of its runs."""

    name: str  # lab/postact_mixup, or the sweep's
    title: str
    lines: tuple[Line, ...]
    command: str  # asks for all of it again
    source: str = ""  # where the reported numbers come from
    protocol: str = ""  # under which they were measured: epochs, data, seeds, which epoch counts
    changed: tuple[str, ...] = ()  # overrides on top of the table: another budget, another model
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    rank: str = ""  # a reported number: rows are ranked, and their ranks compared with those of that number
    metric: str = "test_acc"  # the one that is compared
