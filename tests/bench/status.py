"""How long `ablation status` takes for a big sweep, process start included.

    python tests/bench/status.py [--arms 2000] [--seeds 5] [--rounds 5] [--running 20]

Makes the sweep by hand: a real submission, and folders as trials leave them. Then asks for its status as a user does.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from ablation.store.attempt import Owner  # noqa: E402
from ablation.store.identity import identify  # noqa: E402
from launch.compose.arm import Planned  # noqa: E402
from launch.sweep.submission import create  # noqa: E402
from tests.launch import handmade  # noqa: E402


def main() -> None:
    """Make the sweep, then time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arms", type=int, default=2000)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--running", type=int, default=20, help="of the trials; the others are done")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as out:
        make(Path(out), arguments.arms, arguments.seeds, arguments.running)
        for verb in (["status"], ["status", "--json"]):
            wall, cpu = zip(*(timed(out, verb) for _ in range(arguments.rounds)), strict=True)
            spread = f"{min(wall):.2f} to {max(wall):.2f}"
            print(f"{' '.join(verb)}: median {statistics.median(wall):.2f} s ({spread}), {min(cpu):.2f} s of a core")


def make(out: Path, arms: int, seeds: int, running: int) -> None:
    """A submission of that many arms; the first trials are running, in this process."""
    (one,) = handmade.sweep(out / "one", f"seeds={seeds}").arms.values()
    planned = [arm(one, out, number) for number in range(arms)]
    create(planned, {"kind": "local"}, "python launch/run.py -m ...")
    left, sample = running, next(ROOT.glob("results/evidence/*/*/seed-0/result.json"))
    result = json.loads(sample.read_bytes())
    for p in planned:
        (out / p.arm.id).mkdir()
        for seed in p.seeds:
            folder, left = out / p.arm.id / f"seed-{seed}", left - 1
            if left >= 0:
                handmade.make(folder, 1, handmade.start(), handmade.epoch(1), owner=Owner.here(), beat=0)
                continue
            handmade.finish(folder, **result)
            events = [handmade.epoch(k) for k in range(1, 201)]
            handmade.make(folder, 1, handmade.start(), *events, {"event": "done", "time": 300.0, "result": result})


def arm(like: Planned, out: Path, number: int) -> Planned:
    """Another arm like this one."""
    lr = 0.1 + number / 1e6
    config = {**like.config, "out": str(out), "optim": {**like.config["optim"], "lr": lr}}
    return replace(like, arm=replace(like.arm, id=identify(config), name=f"optim.lr={lr}"), config=config)


def timed(out: str, verb: list[str]) -> tuple[float, float]:
    """Seconds of one call, by the clock and of a core."""
    began, used = time.perf_counter(), os.times()
    subprocess.run([sys.executable, "-m", "launch", *verb, "--out", out], cwd=ROOT, stdout=subprocess.DEVNULL)
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return time.perf_counter() - began, cpu


if __name__ == "__main__":
    main()
