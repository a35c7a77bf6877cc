"""What must hold when a soak is over: each trial done once and as undisturbed, told to MLflow once, nothing left."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from slurm.lab import same, undisturbed
from slurm.soak_site import Site

from ablation.store import attempt
from ablation.store.result import finished

if TYPE_CHECKING:
    from slurm.soak_summary import Soak

_SCRATCH = ("*.tmp", ".claim*", ".probe*", "beat", "next.pt")
_TRIALS = """
    SELECT i.value || '/seed-' || s.value, r.status, r.run_uuid FROM runs r
    JOIN tags k ON k.run_uuid = r.run_uuid AND k.key = 'ablation.kind' AND k.value = 'trial'
    JOIN tags i ON i.run_uuid = r.run_uuid AND i.key = 'ablation.id'
    JOIN tags s ON s.run_uuid = r.run_uuid AND s.key = 'ablation.seed'
    WHERE r.lifecycle_stage = 'active'"""


def undone(site: Site) -> list[str]:
    """The trials without a result."""
    return [label for label, folder in site.trials().items() if not finished(folder)]


def inspect(soak: Soak) -> None:
    """Fill in what was lost, doubled and left over."""
    site = soak.site
    soak.trials = {label: attempt.latest(folder) for label, folder in site.trials().items()}
    soak.lost += [f"{label} is not done" for label in undone(site)]
    soak.lost += _differing(site, set(undone(site)))
    runs = _runs(site.tracker)
    for label in soak.trials:
        found = runs.pop(label, [])
        if len(found) > 1:
            soak.doubled.append(f"{label} has {len(found)} runs in MLflow")
        elif not found:
            soak.lost.append(f"{label} is not in MLflow")
        else:
            soak.lost += [f"{label} is {status} in MLflow" for status, _ in found if status != "FINISHED"]
    soak.doubled += [f"{label} is in MLflow, and nobody asked for it" for label in runs]
    soak.doubled += _doubled_points(site.tracker)
    soak.left += _left(site)
    logs = [*site.out.glob(".sweeps/*/*/jobs/*.out"), *site.out.glob(".sweeps/*/*/logs/*.log")]
    soak.in_logs += [f"{path.relative_to(site.out)}: a traceback" for path in logs if "Traceback" in path.read_text()]


def _differing(site: Site, undone: set[str]) -> Iterator[str]:
    """Trials that an undisturbed run here does otherwise."""
    os.environ["BRAKE"] = site.env["BRAKE"]
    for arm in {id_: p for s in site.submissions() for id_, p in s.arms.items()}.values():  # teachers first
        reference = undisturbed(arm)
        for label, seed in ((f"{arm.arm.id}/seed-{seed}", seed) for seed in arm.seeds):
            if label not in undone:
                try:
                    same(site.out / arm.arm.id, reference, seed)
                except AssertionError as e:
                    yield f"{label} is not as undisturbed: {str(e).splitlines()[0] if str(e) else 'differs'}"


def _runs(tracker: Path) -> dict[str, list[tuple[str, str]]]:
    """By trial: status and id of its runs in MLflow."""
    found: dict[str, list[tuple[str, str]]] = {}
    with closing(sqlite3.connect(tracker)) as opened:
        for label, status, run in opened.execute(_TRIALS):
            found.setdefault(label, []).append((status, run))
    return found


def _doubled_points(tracker: Path) -> list[str]:
    """Epochs that have two values of one metric in one run."""
    with closing(sqlite3.connect(tracker)) as opened:
        rows = opened.execute(
            "SELECT run_uuid, key, step, count(*) FROM metrics WHERE key = 'test_acc' "
            "GROUP BY run_uuid, key, step HAVING count(*) > 1"
        ).fetchall()
    return [f"MLflow's run {run} has {count} values of {key} at {step}" for run, key, step, count in rows]


def _left(site: Site) -> Iterator[str]:
    for pid in site.processes(f"BRAKE={site.brake.parent}"):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        yield f"process {pid}: {line[:150]}"
    yield from (f"job {job}" for job in [*site.jobs(), *site.jobs(keepers=True)])
    for name in _SCRATCH:
        yield from (str(path.relative_to(site.out)) for path in sorted(site.out.rglob(name)))


def keep(site: Site, folder: Path) -> None:
    """Copy what tells what happened: no checkpoints, no frozen code."""
    shutil.copytree(
        site.out, folder / "runs", ignore=shutil.ignore_patterns("*.pt*", ".code", "*.lock"), dirs_exist_ok=True
    )
    shutil.copytree(site.cluster.folder / "log", folder / "slurm", dirs_exist_ok=True)
    with (folder / "typed.txt").open("w") as file:
        for t in site.shells.typed:
            file.write(f"=== {t.began:.1f} +{t.seconds:.1f} s, exit {t.code}: {' '.join(t.words)}\n")
            file.write("".join(f"!!! {text}\n" for text in t.wrong) + t.out + ("--- stderr\n" if t.err else "") + t.err)
