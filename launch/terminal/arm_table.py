"""A sweep at a glance: one row an arm, the totals, and the hours.

Every view of arms is this table, with the columns that it needs: `ablation status`, the plan, what is shown while a
sweep runs, and its summary.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from types import MappingProxyType
from typing import Any

from rich.table import Table
from rich.text import Text

from launch.compose.errors import plural
from launch.compose.naming import ArmNames
from launch.status.sweep_status import Trial
from launch.status.usage import Usage
from launch.terminal.words import (
    URGENT,
    format_epochs,
    format_mean,
    in_words,
    list_counts,
    mean_and_std,
    ordered,
    state_text,
)

_ABANDONED = ("failed", "blocked", "stopped", "cancelled", "new")  # not done, and nobody is about to do it
COLUMNS = ("id", "arm", "state", "seeds", "test acc", "epoch")
_STATE_WIDTH, _LEAST_NAME = 26, 12  # characters


@dataclass(frozen=True)
class ArmRow:
    """One arm, its trials taken together."""

    id: str
    name: str
    state: str  # the most urgent of its trials
    cause: str  # of those in this state that failed, stopped or wait; each once
    counts: dict[str, int]  # trials by state
    done: int
    total: int
    mean: float | None  # test accuracy of the last epoch, percent, over the seeds that are done
    std: float | None  # with n - 1; None for fewer than two seeds
    epoch: float  # of those that are not done: the mean
    running: tuple[int, ...]  # epochs behind each of those that run
    epochs: int
    latest: float | None = None  # test accuracy of one that is being trained, percent
    stale: str = ""  # what has changed since, if its command gave another arm in a later submission


def arm_rows(trials: Sequence[Trial]) -> list[ArmRow]:
    """One row an arm, in the order of the trials."""
    return [_row(list(group)) for _, group in groupby(trials, key=lambda t: t.planned.arm.id)]


def _row(trials: Sequence[Trial]) -> ArmRow:
    planned, states = trials[0].planned, [t.state for t in trials]
    counts = Counter(s.kind for s in states)
    accuracies = [s.test_acc for s in states if s.kind == "done" and s.test_acc is not None]
    open_ = [s.epoch for s in states if s.kind != "done"]
    state = next(kind for kind in URGENT if counts[kind])
    mean, std = mean_and_std(accuracies)
    return ArmRow(
        id=planned.arm.id,
        name=planned.arm.name,
        state=state,
        cause=", ".join(dict.fromkeys(s.cause for s in states if s.cause and s.kind == state)),
        counts=dict(counts),
        done=counts["done"],
        total=len(trials),
        mean=mean,
        std=std,
        epoch=statistics.fmean(open_) if open_ else 0.0,
        running=tuple(s.epoch for s in states if s.kind == "running"),
        epochs=planned.config["epochs"],
        latest=next((s.test_acc for s in states if s.kind == "running" and s.test_acc is not None), None),
        stale=trials[0].stale,
    )


def totals(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials are in which state; states that none has are left out."""
    return ordered(Counter(t.state.kind for t in trials))


def any_abandoned(trials: Sequence[Trial]) -> bool:
    """Whether some trial is not done and nobody is about to do it; those of stale arms are not missed."""
    return any(t.state.kind in _ABANDONED and not t.stale for t in trials)


def table(
    rows: Sequence[ArmRow],
    names: ArmNames,
    width: int,
    columns: Sequence[str] = COLUMNS,
    more: Mapping[str, Sequence[str | Text]] = MappingProxyType({}),
    fold: bool = False,
) -> Table:
    """These rows. `more` has what stands in a column that rows do not know, or in its place.

    What is too long for the width is cut, an arm's name first; with `fold` it takes further lines.
    """
    cells = {column: more.get(column) or _cells(rows, names, column) for column in columns}
    widths = {column: max(len(text) for text in (column, *own)) for column, own in cells.items()}
    widths["state"] = min(widths["state"], _STATE_WIDTH)
    rest = max(_LEAST_NAME, width - sum(n for column, n in widths.items() if column != "arm") - 2 * len(widths))
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        wide = fold and column in ("arm", "state")
        view.add_column(
            column,
            no_wrap=not wide,
            overflow="fold" if fold else "ellipsis",
            style="dim" if column == "id" else "",
            justify="left" if column in ("id", "arm", "state") else "right",
            width=None if wide or column == "arm" else widths[column],
            max_width=rest if column == "arm" and not fold else None,
        )
    for each in zip(*cells.values(), strict=True):
        view.add_row(*each)
    return view


def hidden(rows: Sequence[ArmRow], shown: Sequence[int]) -> str:
    """What is said of the arms that are not shown; empty if all are."""
    visible = set(shown)
    left = [row.state for n, row in enumerate(rows) if n not in visible]
    return f"and {plural(len(left), 'more arm')}: {list_counts(Counter(left))}" if left else ""


def _cells(rows: Sequence[ArmRow], names: ArmNames, column: str) -> list[str | Text]:
    digits = _digits(names.short)
    cell: dict[str, Callable[[ArmRow], str | Text]] = {
        "id": lambda row: row.id[:digits],
        "arm": lambda row: Text(names.short[row.id] + " (stale)" * bool(row.stale)),
        "state": lambda row: state_text(row.state, row.counts[row.state], row.total, in_words(row.cause)),
        "seeds": lambda row: f"{row.done}/{row.total}",
        "test acc": _accuracy,
        "epoch": _epoch,
    }
    return [cell[column](row) for row in rows]


def _digits(ids: Collection[str]) -> int:
    """How much of an id tells it from the others, be they shown or not."""
    return next(n for n in (6, 8, 16) if n == 16 or len({id_[:n] for id_ in ids}) == len(ids))


def _accuracy(row: ArmRow) -> str:
    """Of the seeds that are done, or how far the one that is trained has come."""
    return format_mean(row.mean, row.std) or (f"({row.latest:.2f})" if row.latest is not None else "")


def _epoch(row: ArmRow) -> str:
    """How far those are that run. Where none does, how far the others came, in the mean."""
    if row.running:
        return format_epochs(row.running, row.epochs)
    return format_epochs([round(row.epoch)], row.epochs) if row.epoch else ""


def describe_totals(counts: Mapping[str, int]) -> str:
    """Totals in words: `3 trials: 2 done, 1 failed`."""
    return plural(sum(counts.values()), "trial") + (f": {list_counts(counts)}" if counts else "")


def describe_usage(entries: Mapping[str, Usage]) -> list[str]:
    """Hours of training, one line a kind of device."""
    lines = []
    for device, entry in sorted(entries.items(), reverse=True):
        h = entry.hours()
        waste = f", {h['wasted']:.2f} of them wasted ({h['failed']:.2f} failed, {h['redone']:.2f} redone)"
        lines.append(f"training: {h['spent']:.2f} hours on {device}" + (waste if entry.wasted else ""))
    return lines


def facts(row: ArmRow) -> dict[str, Any]:
    """A row for a program."""
    return asdict(row)
