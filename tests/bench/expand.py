"""How long it takes to expand a grid and to plan it, against Hydra composing the same arms one by one.

    python tests/bench/expand.py [--arms 1000] [--hydra 40]

The arms differ in augmentation, regularizer, rates, decay and length. `plan` is the whole command in a process of its
own, imports included. Hydra is given only some of the arms, of which it composes each once. On a machine that others
use too, trust the processor's time.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hydra import compose
from hydra.core.global_hydra import GlobalHydra

from launch.compose.arms import compose_arms
from launch.compose.grid import Grid
from launch.compose.hydra_version import initialized

ROOT = Path(__file__).resolve().parents[2]


def grid(arms: int) -> list[str]:
    """A command line of at least so many arms."""
    rates = -(-arms // 100)
    return [
        "aug=[],cutout,mixup,[cutout,mixup],random_erasing",
        "regularizer=[],ema",
        "optim.weight_decay=1e-4,2e-4,5e-4,1e-3,2e-3",
        "epochs=20,40",
        f"optim.lr={','.join(f'{0.001 * (n + 1):.3f}' for n in range(rates))}",
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=1000)
    parser.add_argument("--hydra", type=int, default=40)
    arguments = parser.parse_args()
    typed = grid(arguments.arms)
    with initialized():
        began = time.perf_counter()
        rows = [list(row.overrides) for row in Grid(GlobalHydra.instance().config_loader()).expand({}, typed)]
        expanded = time.perf_counter()
        planned = compose_arms(rows)
        gathered = time.perf_counter()
        print(f"{len(planned)} arms: expand {expanded - began:.2f} s, compose and check {gathered - expanded:.2f} s")
        some = rows[:: max(1, len(rows) // arguments.hydra)]
        began = time.perf_counter()
        for row in some:
            compose("config", row)
        each = (time.perf_counter() - began) / len(some)
        ours = (gathered - expanded) / len(rows)
        print(f"an arm: {1e3 * ours:.1f} ms composed and checked, {1e3 * each:.1f} ms by Hydra composed only")
    with tempfile.TemporaryDirectory() as out:
        line = [sys.executable, "launch/run.py", "hydra/launcher=plan", "--json", *typed, f"out={out}"]
        began = time.perf_counter()
        done = subprocess.run(line, cwd=ROOT, check=True, capture_output=True)
        used, took = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
        arms = json.loads(done.stdout)["totals"]["arms"]
        print(f"plan of {arms} arms: {took:.2f} s, {used.ru_utime + used.ru_stime:.2f} s of a processor")


if __name__ == "__main__":
    main()
