"""What a trial costs outside training, in a warm process: compose, check, id, data, model, journal, checkpoint, MLflow.

    python tests/bench/overhead.py [--trials 12]

Runs tiny trials of different configurations one after another through the real entry, and takes from each one's wall
time what it spent in steps and in evaluation. The first two warm the process up and are not counted.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from hydra import compose

from ablation import evaluate
from ablation.store.identity import canonical
from ablation.trial import recorder, run
from ablation.trial.parts import parts
from launch.compose import arm
from launch.compose.hydra_version import initialized
from launch.sweep import provenance
from launch.terminal import trial_progress


def main() -> None:
    """Run the trials and print the median."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12)
    arguments = parser.parse_args()
    spent = [0.0]

    def timed(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return evaluate.evaluate(*args, **kwargs)
        finally:
            spent[0] += time.perf_counter() - began

    recorder.evaluate = timed  # type: ignore[attr-defined]
    outside = []
    with tempfile.TemporaryDirectory() as out, initialized():
        for i in range(arguments.trials + 2):
            began, spent[0] = time.perf_counter(), 0.0
            result = one(f"optim.lr=0.0{i + 1}", out)
            outside.append(time.perf_counter() - began - spent[0] - result["seconds"])
            print(f"trial {i}: {outside[-1]:.3f} s outside training and evaluation")
    print(f"median of the last {arguments.trials}: {statistics.median(outside[2:]):.3f} s")


def one(override: str, out: str) -> dict[str, Any]:
    """One trial of two epochs, as `launch/run.py` runs it."""
    overrides = ["recipe=smoke", override, f"out={out}", f"track.mlflow.uri=sqlite:///{out}/mlflow.db"]
    settled, _ = arm.settle(arm.resolved(compose("config", overrides)), overrides)
    choices = dict.fromkeys(("data", "model", "loss", "optim", "sched"), "")
    described = arm.make_arm(settled, canonical(settled), choices, overrides, "")
    folder = Path(out) / described.id
    built = parts(settled)
    described.write(folder, settled)
    provenance.write(folder, [0])
    watch = trial_progress.choose_watch(described.name, folder, None)
    watch.console.quiet = True
    (result,) = run.run(settled, built, folder, watch).values()
    assert isinstance(result, dict), result
    return result


if __name__ == "__main__":
    main()
