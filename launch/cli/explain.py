"""`ablation explain`: what a run is, or how two runs differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.table import Table
from rich.text import Text

from ablation.errors import ConfigError, DataError
from ablation.store import code
from ablation.store.identity import REVISED
from launch.cli import options
from launch.compose.naming import few
from launch.compose.overrides import verb_command
from launch.status import explain as reasons
from launch.status import trial_status
from launch.sweep.earlier_arms import describe_changes
from launch.sweep.lookup import Archive, ArmRecord
from launch.terminal.words import in_words

_NAMED = 6  # changed files that a line lists


@click.command()
@click.argument("first", metavar="A")
@click.argument("second", required=False, metavar="[B]")
@click.option("--sweep", metavar="SWEEP", help="Look only among this sweep's arms.")
@options.out
@options.as_json
def explain(first: str, second: str | None, sweep: str | None, out: Path, as_json: bool) -> int:
    """What run A is, where it comes from and whether it is stale; or in which keys runs A and B differ.

    A and B are beginnings of ids, or names of arms as `ablation status` shows them.
    """
    archive = Archive(out, sweep)
    a = archive.find(first)
    if second is None:
        return _explain_run(a, as_json)
    return _explain_difference(a, archive.find(second), as_json)


def _explain_difference(a: ArmRecord, b: ArmRecord, as_json: bool) -> int:
    changes = reasons.differences(a, b)
    if as_json:
        options.print_json({"a": a.id, "b": b.id, "differences": changes, "trouble": sorted({*a.trouble, *b.trouble})})
        return 0
    console = options.console()
    if not changes:
        rules = "" if a.id == b.id else ", and their ids differ since one was made by earlier rules; see CHANGELOG.md"
        console.print(f"{a.id} and {b.id} have the same configuration{rules}")
    else:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for head in ("key", a.id[:8], b.id[:8]):
            table.add_column(head, overflow="fold")
        for key, values in changes.items():
            head = f"revision of {key.removeprefix(REVISED)}" if key.startswith(REVISED) else key
            table.add_row(Text(head), *(Text("" if v is None else str(v)) for v in values))
        console.print(table)
    options.print_warnings(sorted({*a.trouble, *b.trouble}))
    return 0


def _explain_run(run: ArmRecord, as_json: bool) -> int:
    facts = _facts(run)
    if as_json:
        options.print_json(facts)
        return 0
    lines = [
        ("run", f"{run.id}  {run.name}" + (f", in sweep {run.submissions[-1].name}" if run.submissions else "")),
        ("folder", run.folder),
        ("command", run.description.get("command", "unknown")),
    ]
    sets = ", ".join(f"{k}={v}" for k, v in run.description.get("params", {}).items())
    lines.append(("differs", f"from the defaults in {sets}" if sets else "in nothing from the defaults"))
    lines += [("sweep", f"{s.name}, submission {s.number}: {s.command}") for s in run.submissions]
    lines += [("code", _code(c)) for c in facts["code"]]
    made = ", ".join(f"revision {number} of {option}" for option, number in facts["revisions"].items())
    lines += [("revised", f"made under {made}; see CHANGELOG.md")] * bool(made)
    lines.append(("stale", _stale(facts)))
    for t in facts["trials"]:
        cause = f" ({in_words(t['cause'])}): {t['message']}" if t["cause"] else ""
        lines.append((f"seed {t['seed']}", f"{t['state']}{cause}"))
        lines += [("", f"attempt {x['attempt']}, {x['owner']}: {_end(x)}") for x in t["history"]]
    for head, text in lines:
        click.echo(f"{head:8} {text}".rstrip())
    options.print_warnings(run.trouble)
    return 0


def _end(told: dict[str, Any]) -> str:
    if told["end"] == reasons.NO_END:
        return "it runs, or died without an error"
    return f"{told['end']} ({in_words(told['cause'])})" if told["cause"] else str(told["end"])


def _facts(run: ArmRecord) -> dict[str, Any]:
    folders = {seed: run.folder / f"seed-{seed}" for seed in run.seeds}
    trials = [_trial(seed, folder) for seed, folder in folders.items()]
    sweeps = [{"name": s.name, "submission": s.number, "command": s.command} for s in run.submissions]
    arm = {key: run.description.get(key) for key in ("name", "command", "overrides", "groups", "params")}
    facts = {"id": run.id, **arm, "folder": str(run.folder), "sweeps": sweeps, "code": reasons.code_states(run)}
    facts |= {"revisions": reasons.revisions(run)}
    return {
        **facts,
        "stale": None,
        "edited": [],
        "refused": "",
        **_today(run),
        "trials": trials,
        "trouble": run.trouble,
    }


def _today(run: ArmRecord) -> dict[str, Any]:
    """Whether its command gives another run today, or none."""
    if run.config is None or "overrides" not in run.description:
        return {"refused": "its arm.json or config.yaml is missing or damaged"}
    try:
        now = reasons.compose_today(run)
    except (ConfigError, DataError) as e:
        return {"refused": str(e)}
    found = reasons.stale(run, now)
    if found is None:
        return {"edited": reasons.edited_files(run, now)}
    return {"stale": {"id": now.arm.id, "keys": found.changed}}


def _trial(seed: int, folder: Path) -> dict[str, Any]:
    now = asdict(trial_status.of(folder))
    kind = now.pop("kind")
    return {"seed": seed, "state": kind, **now, "history": list(reasons.attempt_history(folder))}


def _stale(facts: dict[str, Any]) -> str:
    if facts["refused"]:
        return f"its command is refused today: {facts['refused']}"
    if facts["stale"] is None:
        again = (
            f"to train it again: {verb_command('redo ' + facts['id'], Path(facts['folder']).parent)}, then its command"
        )
        edited = code.told(facts["edited"])
        return "no: its command gives this run today as well" + (f", but the {edited} ({again})" if edited else "")
    return f"yes: its command gives {facts['stale']['id']} today, since {describe_changes(facts['stale']['keys'])}"


def _code(c: dict[str, Any]) -> str:
    own = "".join(f"; {part['name']} at {part['path']}: {_commit(part)}" for part in c.get("own", []))
    return str(c["note"]) + own if "note" in c else _commit(c) + own


def _commit(c: dict[str, Any]) -> str:
    """Of the project, or of a package of the user's own."""
    changed = f", with changes that were not committed in {few(c['changed'], _NAMED)}" if c["changed"] else ""
    known = f"in no git repository, digest {c['digest']}" if "digest" in c else "commit unknown"
    return f"commit {c['commit']}{changed}" if c["commit"] else known + changed
