"""`ablation logs`: what happened to trials, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ablation.errors import ConfigError
from launch.cli import options
from launch.cli.selection import Filter, SelectedSweep, select
from launch.compose.errors import plural
from launch.status import failures, trial_status
from launch.status.failures import TrialFailure
from launch.status.sweep_status import UNREADABLE
from launch.status.trial_status import TrialStatus
from launch.sweep.lookup import Archive, find_trial
from launch.sweep.submission import submissions
from launch.terminal.history import describe_attempts, logs_by_trial
from launch.terminal.words import in_words

Logs = Mapping[tuple[str, int], Sequence[Path]]  # by id and seed
_SHOWN = 12  # trials that a group of failures lists


@click.command()
@click.argument("what", required=False, metavar="[SWEEP | ID[/SEED]]")
@click.option("--failed", is_flag=True, help="Failures grouped by exception and place, one traceback each.")
@options.filters
@options.as_json
def logs(what: str | None, failed: bool, out: Path, chosen: Filter, as_json: bool) -> int:
    """What happened to a trial, attempt by attempt, and where its workers' logs are.

    With --failed: what went wrong in a sweep. Without an ID: the trials of a sweep, all or filtered.
    """
    if what is not None and not submissions(out, what):
        return _of_run(out, what, failed, chosen, as_json)
    sweep = select(out, what, chosen)
    if failed:
        return _print_failures(sweep, as_json)
    return _print_histories(_histories(sweep), sweep.names.short, sweep.trouble, as_json)


def _of_run(out: Path, text: str, failed: bool, chosen: Filter, as_json: bool) -> int:
    """Of one arm or trial; its sweep, if it has one, tells how it stands."""
    found, seeds = find_trial(Archive(out), text)
    if chosen.any:
        raise ConfigError(
            f"{text}: is a run, and --state, --id and --where choose among the trials of a sweep; leave them out"
        )
    if found.submissions:
        sweep = select(out, found.submissions[-1].name, Filter(ids=(found.id,)))
        sweep = replace(sweep, trials=[t for t in sweep.trials if t.seed in seeds])
    if found.submissions and failed:
        return _print_failures(sweep, as_json)
    if failed:
        raise ConfigError(
            f"{text}: belongs to no sweep, and --failed tells the failures of a sweep; leave --failed out"
        )
    known = {t.seed: t.state for t in sweep.trials} if found.submissions else {}
    files, folders = logs_by_trial(out), {seed: found.folder / f"seed-{seed}" for seed in seeds}
    histories = [
        _history(files, found.id, found.full_name, s, f, known.get(s) or trial_status.of(f)) for s, f in folders.items()
    ]
    return _print_histories(histories, {found.id: found.name}, found.trouble, as_json)


def _histories(sweep: SelectedSweep) -> list[dict[str, Any]]:
    files = logs_by_trial(sweep.out)
    return [_history(files, t.planned.arm.id, t.planned.arm.name, t.seed, t.folder, t.state) for t in sweep.trials]


def _history(logs: Logs, id_: str, name: str, seed: int, folder: Path, now: TrialStatus) -> dict[str, Any]:
    lines = [now.message] if now.cause == UNREADABLE else list(describe_attempts(folder))
    files = [str(path) for path in logs.get((id_, seed), [])]
    facts = {"state": now.kind, "cause": now.cause, "message": now.message}
    return {"id": id_, "seed": seed, "name": name, **facts, "story": lines, "logs": files}


def _print_histories(
    histories: Sequence[dict[str, Any]], names: Mapping[str, str], trouble: Sequence[str], as_json: bool
) -> int:
    if as_json:
        options.print_json({"trials": list(histories), "trouble": list(trouble)})
        return 0
    for s in histories:
        cause = f" ({in_words(s['cause'])})" if s["cause"] else ""
        click.echo(f"{s['id']}/seed-{s['seed']}  {names[s['id']]}: {s['state']}{cause}")
        story, message = s["story"], " ".join(s["message"].split())
        if message and message not in " ".join(" ".join(story).split()):
            story = [*story, message if message.startswith(s["cause"]) else f"{s['cause']}: {message}"]
        for line in [*story, *(f"log {path}" for path in s["logs"])]:
            click.echo(f"  {line}")
    options.print_warnings(trouble)
    return 0


def _print_failures(sweep: SelectedSweep, as_json: bool) -> int:
    groups = failures.group(sweep.trials)
    if as_json:
        options.print_json({"sweep": sweep.name, "groups": [_facts(g) for g in groups], "trouble": sweep.trouble})
        return 0
    number = sum(map(len, groups))
    ways = f", in {plural(len(groups), 'way')}" if groups else ""
    click.echo(f"{number} of {len(sweep.trials)} trials of {sweep.name} failed{ways}")
    files = logs_by_trial(sweep.out) if groups else {}
    for group in groups:
        first = group[0]
        click.echo(f"\n{len(group)} x {first.kind}" + (f" at {first.place}" if first.place else ""))
        click.echo(f"  {first.cause}: {' '.join(first.message.split())}")
        for f in group[:_SHOWN]:
            click.echo(f"    {f.trial.label}  {sweep.names.short[f.trial.planned.arm.id]}")
        if len(group) > _SHOWN:
            click.echo(f"    and {len(group) - _SHOWN} more")
        if first.trace:
            click.echo("".join(f"  | {line}\n" for line in first.trace.rstrip().splitlines()), nl=False)
        for path in files.get((first.trial.planned.arm.id, first.trial.seed), []):
            click.echo(f"  log of the first: {path}")
    options.print_warnings(sweep.trouble)
    return 0


def _facts(group: Sequence[TrialFailure]) -> dict[str, Any]:
    first = group[0]
    trials = [{"id": f.trial.planned.arm.id, "seed": f.trial.seed, "message": f.message} for f in group]
    shared = {"kind": first.kind, "place": first.place, "cause": first.cause, "message": first.message}
    return {**shared, "trace": first.trace, "trials": trials}
