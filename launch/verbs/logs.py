"""`ablation logs`: what happened to trials, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from launch import failures, state
from launch.choice import Filter, Sweep, find
from launch.failures import Failure
from launch.known import Archive, trial
from launch.names import apart
from launch.story import logs as worker_logs
from launch.story import story
from launch.sweep import submissions
from launch.verbs import _options

_SHOWN = 12  # trials that a group of failures lists


@click.command(short_help="What happened to trials, and what went wrong.")
@click.argument("what", required=False, metavar="[SWEEP | ID[/SEED]]")
@click.option("--failed", is_flag=True, help="Failures grouped by exception and place, one traceback each.")
@_options.filters
@_options.as_json
def logs(what: str | None, failed: bool, out: Path, chosen: Filter, as_json: bool) -> int:
    """What happened to a trial, attempt by attempt, and where its workers' logs are.

    With --failed: what went wrong in a sweep. Without an ID: the trials of a sweep, all or filtered.
    """
    if what is not None and not submissions(out, what) and not failed:
        return _one(out, what, as_json)
    sweep = find(out, what, chosen)
    if failed:
        return _failed(sweep, as_json)
    stories = [_story(out, t.planned.arm.id, t.planned.arm.name, t.seed, t.folder) for t in sweep.trials]
    return _tell(stories, sweep.trouble, as_json)


def _one(out: Path, text: str, as_json: bool) -> int:
    found, seeds = trial(Archive(out), text)
    stories = [_story(out, found.id, found.name, seed, found.folder / f"seed-{seed}") for seed in seeds]
    return _tell(stories, found.trouble, as_json)


def _story(out: Path, id_: str, name: str, seed: int, folder: Path) -> dict[str, Any]:
    now = state.of(folder)
    lines, files = list(story(folder)), [str(path) for path in worker_logs(out, id_, seed)]
    facts = {"state": now.kind, "cause": now.cause, "message": now.message}
    return {"id": id_, "seed": seed, "name": name, **facts, "story": lines, "logs": files}


def _tell(stories: Sequence[dict[str, Any]], trouble: Sequence[str], as_json: bool) -> int:
    if as_json:
        _options.answer({"trials": list(stories), "trouble": list(trouble)})
        return 0
    for s in stories:
        cause = f" ({s['cause']})" if s["cause"] else ""
        click.echo(f"{s['id']}/seed-{s['seed']}  {s['name']}: {s['state']}{cause}")
        for line in [*s["story"], *(f"log {path}" for path in s["logs"])]:
            click.echo(f"  {line}")
    _options.warn(trouble)
    return 0


def _failed(sweep: Sweep, as_json: bool) -> int:
    groups = failures.group(sweep.trials)
    if as_json:
        _options.answer({"sweep": sweep.name, "groups": [_facts(g) for g in groups], "trouble": sweep.trouble})
        return 0
    number = sum(map(len, groups))
    _, names = apart({t.planned.arm.id: t.planned.arm.name for t in sweep.trials})
    kinds = f", of {len(groups)} kind{'s'[: len(groups) != 1]}" if groups else ""
    click.echo(f"{number} of {len(sweep.trials)} trials of {sweep.name} failed{kinds}")
    for group in groups:
        first = group[0]
        click.echo(f"\n{len(group)} x {first.kind}" + (f" at {first.place}" if first.place else ""))
        click.echo(f"  {first.cause}: {' '.join(first.message.split())}")
        for f in group[:_SHOWN]:
            click.echo(f"    {f.trial.label}  {names[f.trial.planned.arm.id]}")
        if len(group) > _SHOWN:
            click.echo(f"    and {len(group) - _SHOWN} more")
        if first.trace:
            click.echo("".join(f"  | {line}\n" for line in first.trace.rstrip().splitlines()), nl=False)
        for path in worker_logs(sweep.out, first.trial.planned.arm.id, first.trial.seed):
            click.echo(f"  log of the first: {path}")
    _options.warn(sweep.trouble)
    return 0


def _facts(group: Sequence[Failure]) -> dict[str, Any]:
    first = group[0]
    trials = [{"id": f.trial.planned.arm.id, "seed": f.trial.seed, "message": f.message} for f in group]
    shared = {"kind": first.kind, "place": first.place, "cause": first.cause, "message": first.message}
    return {**shared, "trace": first.trace, "trials": trials}
