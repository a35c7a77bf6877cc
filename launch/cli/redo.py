"""`ablation redo`: let trials be trained again from the start, by the code of today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from ablation import config
from ablation.errors import ConfigError, DataError
from ablation.store import set_aside
from ablation.store.arm_files import CONFIG
from launch.cli import options
from launch.compose import overrides
from launch.compose.arm import has_begun
from launch.compose.overrides import parsed
from launch.status import explain
from launch.sweep.earlier_arms import EarlierArms
from launch.sweep.lookup import Archive, ArmRecord, find_trial

Chosen = dict[str, tuple[ArmRecord, list[int]]]  # by id, the seeds


@click.command()
@click.argument("runs", metavar="[RUN]...", nargs=-1)
@click.option(
    "--edited",
    is_flag=True,
    help="Only arms of which a seed was trained by other code than today's; all their seeds are set aside.",
)
@click.option("--sweep", metavar="SWEEP", help="Look only among this sweep's arms.")
@options.out
@options.as_json
def redo(runs: Sequence[str], edited: bool, sweep: str | None, out: Path, as_json: bool) -> int:
    """Set trials aside, so that the command they came from trains them again, by the code of today.

    RUN is the beginning of an id (all its seeds), `ID/SEED`, or the name of an arm; with --edited and no RUN it is
    all of them. Students go with their teachers, as they have learned from weights that are now set aside. Nothing is
    deleted: what is set aside lies in the folder `.aside` beside the runs. A tracker keeps the old run beside the new
    one. `ablation retry`, in contrast, goes on with what is not done, by the code of its submission.
    """
    archive = Archive(out, sweep)
    if not runs and not edited:
        raise ConfigError(
            "redo: name runs by the beginnings of their ids, or give --edited for all that ran other code than today's"
        )
    chosen = [find_trial(archive, text) for text in runs] if runs else [(run, run.seeds) for run in archive.all()]
    trouble = list(archive.trouble)
    redone: Chosen = {}
    for run, seeds in chosen:
        tried = [s for s in seeds if has_begun(run.folder / f"seed-{s}")]
        if tried and (not edited or _edited(run, trouble)):
            redone[run.id] = run, sorted({*tried, *redone.get(run.id, (run, []))[1]})
    students = _students(out, archive, redone)
    moved: dict[str, str] = {}
    for run, seeds in [*reversed(students.values()), *redone.values()]:  # so that none is missed if one is busy
        lease = float((run.config or {}).get("lease", 60.0))
        moved |= {f"{run.id}/seed-{s}": str(set_aside.put(run.folder / f"seed-{s}", lease)) for s in seeds}
    commands = [
        _command(*found) for found in [*redone.values(), *students.values()] if "overrides" in found[0].description
    ]
    if as_json:
        options.print_json({"aside": moved, "commands": commands, "students": sorted(students), "trouble": trouble})
        return 0
    for label, there in moved.items():
        click.echo(f"set aside {label}: {there}")
    for line in commands:
        click.echo(f"run it again: {line}")
    if students:
        click.echo(f"note: {', '.join(sorted(students))} learned from these, and were set aside with them")
    if not moved:
        click.echo("nothing to set aside: no such trial was trained" + " by other code than today's" * edited)
    options.print_warnings(trouble)
    return 0


def _edited(run: ArmRecord, trouble: list[str]) -> bool:
    """Whether its code differs; of one whose command is refused, or gives another run, that cannot be told."""
    if run.config is None or "overrides" not in run.description:
        return False
    try:
        now = explain.compose_today(run)
    except (ConfigError, DataError) as e:
        trouble.append(f"{run.id}: its command is refused today: {e}")
        return False
    return explain.stale(run, now) is None and bool(explain.edited_files(run, now))


def _students(out: Path, archive: Archive, teachers: Chosen) -> Chosen:
    """The trials that learned from these, and those that learned from them, teachers first."""
    past, taught = EarlierArms(out), dict[str, list[str]]()
    for file in sorted(out.glob(f"*/{CONFIG}")):
        if teacher := (past.config(file.parent) or {}).get("teacher"):
            taught.setdefault(str(teacher), []).append(file.parent.name)
    known = {(id_, seed) for id_, (_, seeds) in teachers.items() for seed in seeds}
    found, todo = list[tuple[str, int]](), sorted(known)
    while todo:
        teacher, seed = todo.pop(0)
        pairs = [(id_, seed) for id_ in taught.get(teacher, []) if (id_, seed) not in known]
        pairs = [(id_, seed) for id_, seed in pairs if has_begun(out / id_ / f"seed-{seed}")]
        known, found, todo = known.union(pairs), found + pairs, todo + pairs
    return {id_: (archive.record(id_), [s for i, s in found if i == id_]) for id_, _ in found}


def _command(run: ArmRecord, seeds: Sequence[int]) -> str:
    """The line that trains these seeds again: the arm's own, if it asks for all of them."""
    command = str(run.description["command"])
    requested = config.seeds(run.config["seeds"]) if run.config else ()
    if set(requested) >= {*seeds}:
        return command
    search = overrides.search_paths_in(command)
    rest = [text for text in run.description["overrides"] if parsed(text).key_or_group != "seeds"]
    every = sorted({*requested, *seeds})
    return overrides.arm_command([*search, *rest, f"seeds=[{','.join(map(str, every))}]"])
