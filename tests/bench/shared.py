"""A training on a machine that others use too: alone, beside a busy process, beside a second training.

    python tests/bench/shared.py [--rounds 3] [--epochs 4] [--to FILE.md]

Every figure is the median images/s of whole processes (`python launch/run.py`, and the same trial by a worker of `-m`),
each epoch's but the first's, as its journal has it. "libraries" is what torch's OpenMP does when nobody says anything:
a thread a core, spinning for a long time; "ours" is what the commands set by themselves. They take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0))
# ablation sets these unless they are set: libgomp's own spin count without a policy is 300000
LIBRARIES = {"OMP_NUM_THREADS": str(CORES), "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "300000"}
SET = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT")  # by whom measures: not to be inherited
COMMANDS: dict[str, Sequence[str]] = {"main command": (), "worker of -m": ("-m",)}
BESIDE = ("nobody", "a busy process", "a second training")


def started(out: str, words: Sequence[str], epochs: int, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """One training in a process of its own."""
    typed = [*words, f"out={out}", f"epochs={epochs}", "track=[]", "checkpoint.epochs=0"]
    clean = {k: v for k, v in os.environ.items() if k not in SET}
    command = [sys.executable, str(ROOT / "launch" / "run.py"), *typed]
    return subprocess.Popen(command, env={**clean, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def rate(out: str) -> float:
    """Images/s of the epochs after the first."""
    (path,) = Path(out).glob("*/seed-0/attempt-1/journal.jsonl")
    events = [json.loads(line) for line in path.read_text().splitlines()]
    return statistics.median(e["metrics"]["images_per_s"] for e in events if e["event"] == "epoch" and e["epoch"] > 1)


@contextmanager
def busy() -> Iterator[None]:
    """Another process that computes all the time."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(words: Sequence[str], beside: str, epochs: int, env: dict[str, str]) -> list[float]:
    """The rate of each training."""
    count = 2 if beside == "a second training" else 1
    with tempfile.TemporaryDirectory() as folder:
        outs = [f"{folder}/{n}" for n in range(count)]
        if beside == "a busy process":
            with busy():
                codes = [started(outs[0], words, epochs, env).wait()]
        else:
            codes = [process.wait() for process in [started(out, words, epochs, env) for out in outs]]
        if any(codes):
            raise SystemExit(f"a training ended with {codes}")
        return [rate(out) for out in outs]


def main() -> None:
    """Print, and write if asked, the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--to", type=Path)
    asked = parser.parse_args()
    seen: dict[tuple[str, str, str], list[float]] = {}
    for n in range(asked.rounds):
        for command, words in COMMANDS.items():
            for beside in BESIDE:
                for how, env in {"libraries": LIBRARIES, "ours": {}}.items():
                    rates = measure(words, beside, asked.epochs, env)
                    seen.setdefault((command, beside, how), []).extend(rates)
                    print(f"round {n + 1}: {command} beside {beside}, {how}: {' '.join(f'{r:.0f}' for r in rates)}")
                    sys.stdout.flush()
    rows = ["| what | beside | libraries' defaults, img/s | ours, img/s | ratio |", "|---|---|---|---|---|"]
    for command in COMMANDS:
        for beside in BESIDE:
            old, new = (seen[command, beside, how] for how in ("libraries", "ours"))
            texts = [f"{statistics.median(x):.0f} ({min(x):.0f} to {max(x):.0f})" for x in (old, new)]
            ratio = statistics.median(new) / statistics.median(old)
            rows.append(f"| {command} | {beside} | {texts[0]} | {texts[1]} | {ratio:.2f} |")
    print("\n".join(rows))
    if asked.to:
        asked.to.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
