"""What `ablation explain` tells: what a run is, why its command would not give it today, and how two runs differ."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra

from ablation.errors import AblationError
from ablation.store import attempt
from ablation.store.identity import difference, made_under
from ablation.store.journal import ends
from launch.compose import own_data
from launch.compose.arm import Planned
from launch.compose.arms import compose_arms
from launch.compose.hydra_version import initialized
from launch.compose.naming import rules
from launch.compose.overrides import search_paths_in
from launch.sweep import earlier_arms
from launch.sweep.earlier_arms import StaleArm
from launch.sweep.edited_code import Edits
from launch.sweep.lookup import ArmRecord
from launch.sweep.provenance import SOURCE

NO_END = "no last word"  # what programs read of an attempt that runs, or whose process died without an error
Changes = dict[str, tuple[Any, Any]]  # key -> value of the first, value of the second


def compose_today(run: ArmRecord) -> Planned:
    """What the run's command gives today.

    Raises:
        ConfigError, DataError: the command is refused today; the message says why.
    """
    overrides = list(run.description.get("overrides", []))
    search = search_paths_in(str(run.description.get("command", "")))
    GlobalHydra.instance().clear()
    with initialized(), redirect_stdout(sys.stderr):  # a trick's module may print
        planned = compose_arms([overrides], search)[-1]
    own_data.require([planned.config])
    return planned


def stale(run: ArmRecord, now: Planned) -> StaleArm | None:
    """If the run's command gives another one today, which is `now`: the run, and what has changed.

    Raises:
        AblationError: its configuration is lost.
    """
    return earlier_arms.stale(run.folder, _config(run), now)


def differences(a: ArmRecord, b: ArmRecord) -> Changes:
    """The keys in which two runs differ, without surroundings.

    Raises:
        AblationError: a configuration is lost.
    """
    return difference(_config(a), _config(b), rules(), (a.id, b.id))


def edited_files(run: ArmRecord, now: Planned) -> list[str]:
    """The files of the code that its trials, and their teachers, were trained by and that differ today."""
    return Edits(run.folder.parent).of(run.id, now.config, run.seeds)


def revisions(run: ArmRecord) -> dict[str, int]:
    """The options that it uses and that were ever corrected, and under which revision it was made; the first is 1."""
    return made_under(run.id, run.config, rules()) if run.config is not None else {}


def code_states(run: ArmRecord) -> list[dict[str, Any]]:
    """The states of the code that it was run with: commit, and the files with changes that were not committed."""
    files = sorted(run.folder.glob("provenance*.json"), key=lambda p: p.stat().st_mtime_ns)
    files = files or [s.folder / SOURCE for s in run.submissions]
    states: list[dict[str, Any]] = []
    for state in map(_read_code_state, files):
        if state not in states:
            states.append(state)
    return states


def attempt_history(folder: Path) -> Iterator[dict[str, Any]]:
    """Each attempt at a seed, by the seed's folder: who made it, and how it ended."""
    for number in attempt.numbers(folder):
        its_folder = attempt.folder(folder, number)
        _, last = ends(its_folder) or (None, None)
        end = last["event"] if last and last["event"] in ("done", "failed", "stopped") else NO_END
        cause = (last.get("cause") or last.get("why") or "") if last else ""
        yield {"attempt": number, "owner": str(attempt.owner(its_folder) or "unknown"), "end": end, "cause": cause}


def _config(run: ArmRecord) -> Mapping[str, Any]:
    if run.config is None:
        raise AblationError(f"{run.folder / 'config.yaml'} is missing or damaged: what {run.id} is cannot be told")
    return run.config


def _read_code_state(path: Path) -> dict[str, Any]:
    try:
        recorded = json.loads(path.read_text())
    except (OSError, ValueError):
        return {"commit": None, "changed": [], "note": f"{path} cannot be read"}
    changed = re.findall(r"^diff --git a/(\S+)", recorded.get("diff") or "", re.MULTILINE)
    state = {"commit": recorded.get("commit"), "changed": sorted({*changed, *(recorded.get("untracked") or {})})}
    if recorded.get("note"):
        state["note"] = f"commit unknown: {recorded['note']}; digest of the sources {recorded.get('sources')}"
    return state | {"own": [part for part in recorded.get("own") or [] if isinstance(part, dict)]}
