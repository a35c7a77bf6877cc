"""The old folder of runs as a user has it: moved to another place, with commands typed on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.launch.old.place import command, environment, unpack

ROOT = Path(__file__).resolve().parents[3]
FROZEN = "this is the frozen code"  # in the workers' logs, if it is that which has trained
Run = subprocess.CompletedProcess[str]


class Lab:
    """The folder, moved to another place."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, unpack(folder)
        (self.code,) = (self.out / ".code").iterdir()
        with (self.code / "ablation" / "__init__.py").open("a") as file:
            file.write(f"\nimport sys\n\nprint({FROZEN!r}, file=sys.stderr)\n")

    def run(self, *line: str) -> Run:
        env = environment(self.folder)
        return subprocess.run([sys.executable, *line], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)

    def by_frozen_code(self, *arguments: str) -> dict[str, Any]:
        """What a verb of the code that was frozen then tells, as a keeper asks it that still waits in the queue."""
        env = {**environment(self.folder), "PYTHONPATH": str(self.code)}
        line = [sys.executable, "-P", "-m", "launch", *arguments, "--out", str(self.out), "--json"]
        done = subprocess.run(line, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300)
        assert FROZEN in done.stderr, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def verb(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code of `ablation VERB`, and what it tells a program."""
        done = self.run("-m", "launch", *arguments, "--out", str(self.out), "--json")
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, answer

    def trials(self, sweep: str) -> list[dict[str, Any]]:
        trials: list[dict[str, Any]] = self.verb("status", sweep)[1]["trials"]
        return trials

    def states(self, sweep: str) -> list[str]:
        return [t["state"] for t in self.trials(sweep)]

    def again(self, sweep: str, *more: str) -> Run:
        """The very command that was typed then."""
        return self.run(*command(sweep, self.out), *more)

    def reported(self) -> list[list[str]]:
        """Of each arm of `main`, the seeds of which the tracker has a result."""
        grid = [text for text in command("main", self.out) if not text.startswith("hydra.launcher.")]
        lines = json.loads(self.run(*grid, "hydra/launcher=report", "--json").stdout)["lines"]
        known = {(t["id"], str(t["seed"])): t["test_acc"] for t in self.trials("main")}
        assert all(known[line["id"], seed] == acc for line in lines for seed, acc in line["values"].items())
        return [list(line["values"]) for line in lines]

    def folders(self, sweep: str) -> list[Path]:
        """Those of its seeds, in the order of `trials`; of single runs too."""
        arms = [p.parent for p in self.out.glob("*/arm.json") if json.loads(p.read_text())["sweep"] == sweep]
        if not (self.out / ".sweeps" / sweep).exists():
            return [seed for arm in arms for seed in sorted(arm.glob("seed-*"))]
        return [self.out / t["id"] / f"seed-{t['seed']}" for t in self.trials(sweep)]

    def logs(self, sweep: str) -> str:
        """What the workers of its submissions have said."""
        return "".join(path.read_text() for path in sorted(self.out.glob(f".sweeps/{sweep}/*/logs/*")))


def results(out: Path) -> dict[Path, bytes]:
    """What is done, to the letter."""
    return {path: path.read_bytes() for path in out.glob("*/seed-*/result.json")}


def starts(seed: Path) -> list[int]:
    """The step at which each attempt has begun."""
    journals = sorted(seed.glob("attempt-*/journal.jsonl"), key=lambda p: int(p.parent.name.partition("-")[2]))
    events = [[json.loads(line) for line in path.read_text().splitlines() if line] for path in journals]
    return [e["step"] for attempt in events for e in attempt if e["event"] == "start"]


def saved(seed: Path) -> int:
    """The step of the newest checkpoint."""
    lines = [json.loads(line) for line in (seed / "attempt-1/journal.jsonl").read_text().splitlines() if line]
    return int(max(e["step"] for e in lines if e["event"] == "saved"))


def epochs(seed: Path) -> int:
    return int(json.loads((seed / "result.json").read_text())["epochs"])
