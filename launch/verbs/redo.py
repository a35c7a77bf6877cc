"""`ablation redo`: let trials be trained again from the start, by the code of today."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ablation.errors import ConfigError, DataError
from launch import aside, explain
from launch.known import Archive, Known, trial
from launch.verbs import _options


@click.command(short_help="Set trials aside, so that their command trains them again.")
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option("--edited", is_flag=True, help="Only those that were trained by other code than today's.")
@click.option("--sweep", metavar="SWEEP", help="Look only among this sweep's arms.")
@_options.out
@_options.as_json
def redo(runs: Sequence[str], edited: bool, sweep: str | None, out: Path, as_json: bool) -> int:
    """Set trials aside, so that the command they came of trains them again, by the code of today.

    RUN is the beginning of an id (all its seeds), `ID/SEED`, or the name of an arm; with --edited and no RUN it is
    all of them. Nothing is deleted: what is set aside lies in the folder `.aside` beside the runs. A tracker keeps
    the old run beside the new one. `ablation retry`, in contrast, goes on with what is not done, by the code of its
    submission.
    """
    archive = Archive(out, sweep)
    if not runs and not edited:
        raise ConfigError("redo: say which runs, by the beginnings of their ids, or --edited for all with other code")
    chosen = [trial(archive, text) for text in runs] if runs else [(run, run.seeds) for run in archive.all()]
    moved: dict[str, str] = {}
    trouble = list(archive.trouble)
    for run, seeds in chosen:
        begun = [s for s in seeds if aside.begun(run.folder / f"seed-{s}")]
        if begun and (not edited or _edited(run, trouble)):
            lease = float((run.config or {}).get("lease", 60.0))
            moved |= {f"{run.id}/seed-{s}": str(aside.put(run.folder / f"seed-{s}", lease)) for s in begun}
    redone = [run for run, _ in chosen if any(label.startswith(run.id) for label in moved)]
    students = sorted(_students(archive, {run.id for run in redone}))
    commands = [str(run.facts["command"]) for run in redone if "command" in run.facts]
    if as_json:
        _options.answer({"aside": moved, "commands": commands, "students": students, "trouble": trouble})
        return 0
    for label, there in moved.items():
        click.echo(f"set aside {label}: {there}")
    for line in commands:
        click.echo(f"run it again: {line}")
    if students:
        click.echo(
            f"note: {', '.join(students)} learnt from these and keep what they have learnt, until they are redone"
        )
    if not moved:
        click.echo("nothing to set aside: no such trial was begun" + " by other code than today's" * edited)
    _options.warn(trouble)
    return 0


def _edited(run: Known, trouble: list[str]) -> bool:
    """Whether its code differs; of one whose command is refused, or gives another run, that cannot be told."""
    if run.config is None or "overrides" not in run.facts:
        return False
    try:
        now = explain.today(run)
    except (ConfigError, DataError) as e:
        trouble.append(f"{run.id}: its command is refused today: {e}")
        return False
    return explain.stale(run, now) is None and bool(explain.edited(run, now))


def _students(archive: Archive, teachers: set[str]) -> Iterator[str]:
    arms: dict[str, Any] = {id_: p for s in archive.submissions for id_, p in s.arms.items()}
    yield from (id_ for id_, p in arms.items() if p.teacher in teachers and id_ not in teachers)
