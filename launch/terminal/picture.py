"""The table of a sweep's arms while it runs, as high as the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from launch.status.outcome import HELD, NOT_STARTED
from launch.terminal.progress import Board, Row

_STYLES = {"running": "cyan", "done": "green", "failed": "red", "blocked": "red", "stopped": "yellow"}
# What a person looks for first, where not all arms fit.
_FIRST = ("running", "failed", "blocked", "waiting", "stopped", "cancelled", "done", "queued", HELD, NOT_STARTED)


def draw(board: Board, height: int) -> Group:
    """The table in so many lines: of arms that do not all fit, those that matter first."""
    states = {arm: row.state for arm, row in board.rows.items()}
    common = [_line(f"all: {board.common}", "dim")] if board.common else []
    shown = _chosen(states, max(1, height - 2 - len(common)))
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("arm", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("state", no_wrap=True)
    for column in ("seeds", "epoch", "test acc", "left"):
        table.add_column(column, justify="right", no_wrap=True)
    for arm in shown:
        table.add_row(*_cells(board, board.rows[arm], states[arm]))
    hidden = [state for arm, state in states.items() if arm not in shown]
    more = [_line(_hidden(hidden), "dim")] if hidden else []
    return Group(*common, table, *more, _line(_totals(board)))


def _hidden(states: Iterable[str]) -> str:
    counts = Counter(states)
    return f"and {counts.total()} more: {', '.join(f'{n} {state}' for state, n in counts.items())}"


def _chosen(states: Mapping[str, str], room: int) -> dict[str, None]:
    """The arms that have a line, in grid order; one line is left to say what is hidden."""
    if len(states) <= room:
        return dict.fromkeys(states)
    first = set(sorted(states, key=lambda arm: _FIRST.index(states[arm]))[: room - 1])
    return {arm: None for arm in states if arm in first}


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _cells(board: Board, row: Row, state: str) -> Sequence[Text | str]:
    legs = list(row.legs.values())
    epochs = " ".join(f"{leg.epoch}/{leg.epochs}" for leg in legs[:2]) + (" ..." if len(legs) > 2 else "")
    return (
        Text(row.name),
        Text(state, style=_STYLES.get(state, "")),
        f"{row.counts['done']}/{len(row.planned.seeds)}",
        epochs,
        _accuracy(row),
        spell(board.left(row)),
    )


def _accuracy(row: Row) -> str:
    """The mean of the seeds that are done, or how far the latest epoch has come."""
    known = row.accuracies
    if known:
        return f"{sum(known) / len(known):.2f}"
    return f"({row.latest:.2f})" if row.latest is not None else ""


def _totals(board: Board) -> str:
    counts = board.counts
    running = sum(len(work.seeds) for row in board.rows.values() for work in row.legs)
    queued = board.trials - counts.total() - running
    parts = [f"{counts['done']} of {board.trials} trials done", f"{running} running", f"{queued} queued"]
    parts += [f"{n} {state}" for state, n in sorted(counts.items()) if state != "done"]
    left = board.total_left()
    parts += [f"ETA {spell(left)}"] if left else []
    return "  ".join(parts) + f"   {board.hint}"


def spell(seconds: float | None) -> str:
    """A time left, in the unit that fits."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
