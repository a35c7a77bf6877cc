"""The same twenty tiny trials through different launchers, from the command line to the end of the sweep.

    python tests/bench/launchers.py [--trials 20] [--launchers local basic slurm submitit]

`local` and `slurm` (two jobs of ten trials) are ours; `basic` is Hydra's own (one trial after another in one process),
`submitit` is hydra-submitit-launcher's (a job each, two at a time; to be installed beside). The last two need a SLURM,
such as that of `tests/slurm/cluster.sh up`, and SLURM_CONF set. All of them train the same arms with
the same `launch/run.py`; with `--mlflow` they are uploaded too. The last column is what a trial costs outside its
training and evaluation in a warm process, by the times in the journals: from the last epoch of one to the start of the
next. Where the machine is shared, `cpu` (seconds of processor time of all processes together) says more than `total`.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAUNCHERS = {
    "local": ["hydra/launcher=local"],
    "basic": ["hydra/launcher=basic", "hydra/sweeper=basic"],
    "slurm": [
        "hydra/launcher=slurm",
        "hydra.launcher.wait=true",
        "hydra.launcher.resources.gpus=0",
        "hydra.launcher.resources.cpus=1",
        "hydra.launcher.chain=10",
    ],
    "submitit": [
        "hydra/launcher=submitit_slurm",
        "hydra/sweeper=basic",
        "hydra.launcher.array_parallelism=2",
        "hydra.launcher.cpus_per_task=1",
    ],
}
TRIAL = (
    "recipe=smoke",
    "model.depth=8",
    "data.subset=128",
    "data.test_subset=40",
    "epochs=2",
    "device=cpu",
)


def main() -> None:
    """Run each launcher once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--launchers", nargs="+", choices=[*LAUNCHERS], default=["local", "basic"], metavar="NAME")
    parser.add_argument("--mlflow", action="store_true")
    arguments = parser.parse_args()
    print(f"{'launcher':20} {'total':>8} {'cpu':>8} {'a trial':>8} {'trained':>8} {'between':>8}")
    for name in arguments.launchers:
        with tempfile.TemporaryDirectory() as out:
            spent = processor()
            total = sweep(LAUNCHERS[name], arguments.trials, out, arguments.mlflow)
            done = [json.loads(path.read_bytes()) for path in Path(out).glob("*/seed-0/result.json")]
            assert len(done) == arguments.trials, f"{len(done)} of {arguments.trials} trials are done"
            trained, between = (
                statistics.median(r["seconds"] for r in done),
                statistics.median(gaps(Path(out)) or [math.nan]),
            )
            spent = processor() - spent
        row = (total, spent, total / arguments.trials, trained, between)
        print(f"{name:20}", *(f"{seconds:6.2f} s" for seconds in row))


def processor() -> float:
    """Seconds that the processes started here, and theirs, have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def sweep(launcher: list[str], trials: int, out: str, mlflow: bool) -> float:
    """Seconds that the whole command takes."""
    rates = ",".join(f"0.{n:03}" for n in range(1, trials + 1))
    track = f"track.mlflow.uri=sqlite:///{out}/mlflow.db" if mlflow else "track=[]"
    line = [sys.executable, "launch/run.py", "-m", *launcher, *TRIAL, f"optim.lr={rates}", f"out={out}", track]
    line.append(f"hydra.sweep.dir={out}/.hydra")
    began = time.perf_counter()
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(line)}\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - began


def gaps(out: Path) -> list[float]:
    """Seconds between the last epoch of a trial and the start of the same process's next."""
    processes: dict[int, list[list[dict[str, Any]]]] = {}
    for journal in out.glob("*/seed-*/attempt-*/journal.jsonl"):
        owner = json.loads((journal.parent / "owner.json").read_bytes())
        processes.setdefault(owner["pid"], []).append([json.loads(x) for x in journal.read_text().splitlines()])
    found = []
    for trials in processes.values():
        trials.sort(key=lambda events: events[0]["time"])
        found += [next_[0]["time"] - _last_epoch(events) for events, next_ in pairwise(trials)]
    return found


def _last_epoch(events: list[dict[str, Any]]) -> float:
    return float([e["time"] for e in events if e["event"] == "epoch"][-1])


if __name__ == "__main__":
    main()
