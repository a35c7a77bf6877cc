"""A sweep at a glance: one row an arm, the totals, and the hours. What `ablation status` and a plan show."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from launch.compose.errors import plural
from launch.compose.naming import short_names
from launch.status.sweep_status import Trial
from launch.status.trial_status import KINDS
from launch.status.usage import Usage
from launch.terminal.words import URGENT, colour, format_epochs, format_mean, in_words, mean_and_std, most_urgent

_ABANDONED = ("failed", "blocked", "stopped", "cancelled", "new")  # not done, and nobody is about to do it
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
        stale=trials[0].stale,
    )


def totals(trials: Sequence[Trial]) -> dict[str, int]:
    """How many trials are in which state; states that none has are left out."""
    counts = Counter(t.state.kind for t in trials)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def any_abandoned(trials: Sequence[Trial]) -> bool:
    """Whether some trial is not done and nobody is about to do it; those of stale arms are not missed."""
    return any(t.state.kind in _ABANDONED and not t.stale for t in trials)


def table(found: Sequence[ArmRow], limit: int, width: int) -> tuple[Table, str]:
    """At most `limit` rows (0: all), the urgent ones if there are more, in grid order; and what all names share."""
    common, short = short_names({row.id: row.name for row in found})
    shown = most_urgent([row.state for row in found], limit)
    digits = _digits(found)
    cells = [_cells(found[n], found[n].id[:digits]) for n in shown]
    heads = ("id", "state", "seeds", "test acc", "epoch")
    widths = [max(len(str(text)) for text in column) for column in zip(heads, *cells, strict=True)]
    widths[1] = min(widths[1], _STATE_WIDTH)
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("id", no_wrap=True, style="dim", width=widths[0])
    rest = max(_LEAST_NAME, width - sum(widths) - 2 * len(widths))
    view.add_column("arm", overflow="ellipsis", no_wrap=True, max_width=rest)
    for head, wide in zip(heads[1:], widths[1:], strict=True):
        justify: Literal["left", "right"] = "left" if head == "state" else "right"
        view.add_column(head, no_wrap=True, overflow="ellipsis", width=wide, justify=justify)
    for n, (id_, *others) in zip(shown, cells, strict=True):
        view.add_row(id_, Text(short[found[n].id] + " (stale)" * bool(found[n].stale)), *others)
    return view, common


def _digits(found: Sequence[ArmRow]) -> int:
    """How much of an id tells it from the others."""
    return next(n for n in (6, 8, 16) if n == 16 or len({row.id[:n] for row in found}) == len(found))


def _cells(row: ArmRow, id_: str) -> tuple[str | Text, ...]:
    return id_, _state(row), f"{row.done}/{row.total}", format_mean(row.mean, row.std), _epoch(row)


def _state(row: ArmRow) -> Text:
    number = row.counts[row.state]
    text = row.state if number == row.total else f"{number} {row.state}"
    cause = in_words(row.cause)
    return Text(f"{text}: {cause}" if cause and row.state != "done" else text, style=colour(row.state))


def _epoch(row: ArmRow) -> str:
    """As the live table: how far those are that run. Where none does, how far the others came, in the mean."""
    if row.running:
        return format_epochs(row.running, row.epochs)
    return format_epochs([round(row.epoch)], row.epochs) if row.epoch else ""


def describe_totals(counts: Mapping[str, int]) -> str:
    """Totals in words: `3 trials: 2 done, 1 failed`."""
    listed = ", ".join(f"{n} {kind}" for kind, n in counts.items())
    return plural(sum(counts.values()), "trial") + (f": {listed}" if listed else "")


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
