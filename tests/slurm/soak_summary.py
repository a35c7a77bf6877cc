"""A soak's summary, in Markdown, and its events as a table of their own."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import torch
from slurm.faults import FAULTS, NOBODY
from slurm.soak_site import Site

from launch.compose.paths import ROOT


@dataclass
class Soak:
    """What was done, and what became of it."""

    seed: int
    minutes: float
    site: Site
    slurm: str = ""  # version
    events: list[tuple[float, str, str]] = field(default_factory=list)  # seconds, fault, whom it hit
    retries: int = 0  # typed after the faults had ceased
    early: int = 0  # trials that were done by then
    finished: float = float("inf")  # seconds from then on
    trials: dict[str, int] = field(default_factory=dict)  # attempts
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    in_logs: list[str] = field(default_factory=list)  # in jobs' logs
    causes: list[str] = field(default_factory=list)  # that were decided on, and are not what happened

    def note(self, what: str, whom: str) -> None:
        """Keep an event."""
        self.events.append((self.site.clock(), what, whom))

    @property
    def hung(self) -> list[str]:
        return [f"{' '.join(t.words)[:100]} at {t.began:.0f} s" for t in self.site.shells.typed if t.hung]

    @property
    def misreported(self) -> list[str]:
        typed = self.site.shells.typed
        said = [f"`{' '.join(t.words)[:100]}` at {t.began:.0f} s: {text}" for t in typed for text in t.wrong]
        return said + self.in_logs + self.causes

    @property
    def verdict(self) -> dict[str, list[str]]:
        return {"lost": self.lost, "doubled": self.doubled, "hung": self.hung, "misreported": self.misreported,
                "left over": self.left}  # fmt: skip

    @property
    def clean(self) -> bool:
        return bool(self.trials) and self.finished < float("inf") and not any(self.verdict.values())


def write(soak: Soak, path: Path) -> None:
    """The summary, and the events beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_lines(soak)) + "\n")
    rows = [f"{when:.1f}\t{what}\t{whom}" for when, what, whom in soak.events]
    path.with_suffix(".tsv").write_text("\n".join(["second\tfault\twhom", *rows]) + "\n")


def _lines(soak: Soak) -> list[str]:
    attempts = list(soak.trials.values())
    typed = {fault.name for fault in FAULTS if fault.typed}
    events = [e for e in soak.events if e[1] not in ("healed", "wave")]
    faults = [e for e in events if e[1] not in typed]
    hit = [e for e in faults if not e[2].startswith(NOBODY)]
    return [
        f"# Soak with seed {soak.seed}, {soak.minutes:g} minutes of faults",
        "",
        *(f"- {name} {len(found)}" for name, found in soak.verdict.items()),
        "",
        f"{len(hit)} faults hit, {len(faults) - len(hit)} found nobody or were refused by SLURM; "
        f"{len(events) - len(faults)} times somebody typed a command meanwhile. {len(attempts)} trials in "
        f"{soak.site.waves} waves, {len(soak.site.submissions())} submissions; {sum(attempts)} attempts, at most "
        f"{max(attempts, default=0)} at one trial. When the faults ceased {soak.early} trials were done; all was done "
        f"and the queue empty {soak.finished:.0f} s later, with {soak.retries} `ablation retry`.",
        "",
        _place(soak.slurm),
        "",
        "| fault, or command typed | times | of which hit nobody |",
        "|---|---|---|",
        *_table(events),
        "",
        "| command | times | slowest, s | median, s | exit codes |",
        "|---|---|---|---|---|",
        *_commands(soak),
        *_unasked(soak),
        *(line for name, found in soak.verdict.items() if found for line in ["", f"## {name}", "",
                                                                            *(f"- {text}" for text in found)]),
    ]  # fmt: skip


def _table(faults: list[tuple[float, str, str]]) -> list[str]:
    times, missed = Counter(e[1] for e in faults), Counter(e[1] for e in faults if e[2].startswith(NOBODY))
    return [f"| {f.name} | {times[f.name]} | {missed[f.name] or ''} |" for f in FAULTS]


def _commands(soak: Soak) -> list[str]:
    verbs: dict[str, list[tuple[float, int | None]]] = {}
    for t in soak.site.shells.typed:
        verbs.setdefault("launch/run.py -m" if t.verb == "run" else f"ablation {t.verb}", []).append(
            (t.seconds, t.code)
        )
    rows = []
    for verb, seen in sorted(verbs.items()):
        seconds, codes = [s for s, _ in seen], Counter(str(code) for _, code in seen)
        listed = ", ".join(f"{code} ({n} times)" for code, n in sorted(codes.items()))
        rows.append(f"| {verb} | {len(seen)} | {max(seconds):.1f} | {median(seconds):.1f} | {listed} |")
    return rows


def _unasked(soak: Soak) -> list[str]:
    """What `status` says of jobs is not judged where it says that it could not ask of them; so this is counted."""
    counts = Counter(t.unasked for t in soak.site.shells.typed if t.unasked)
    return [
        "",
        f"`ablation status` said {counts.total()} times that it could not ask SLURM"
        + "".join(f"; {n} times {who}" for who, n in counts.items())
        + ".",
    ]


def _place(slurm: str) -> str:
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout
    system = {**dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"Commit {commit.strip()}, {slurm} with three nodes on one machine of {os.cpu_count()} cores and {memory:.0f} "
        f"GiB, {system['PRETTY_NAME'].strip(chr(34))}, Linux {platform.release()}, Python "
        f"{platform.python_version()}, torch {torch.__version__}."
    )
