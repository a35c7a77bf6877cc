"""How long whole commands take, as a user types them: processor time, and when the first line is on the screen.

    python tests/bench/commands.py [--rounds 3] [--arms 1000]

Each is a process of its own. The first call of each has an empty cache (as after an edit of conf/ or an upgrade), the
others find what it left; of these the median is told. The peers are `import torch`, and a program of ten lines that
composes the same conf/ with Hydra and does nothing. On a machine that others use too, trust the processor's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]
BARE = f"""
import hydra
@hydra.main(version_base="1.3", config_path={str(ROOT / "conf")!r}, config_name="config")
def main(config): pass
main()
"""


def commands(out: str, arms: int) -> dict[str, list[str]]:
    """What is typed, by what it is called."""
    rates = f"optim.lr={','.join(f'{0.001 * (n + 1):.3f}' for n in range(-(-arms // 100)))}"
    axes = ["aug=[],cutout,mixup,[cutout,mixup],random_erasing", "regularizer=[],ema", "epochs=20,40"]
    axes += ["optim.weight_decay=1e-4,2e-4,5e-4,1e-3,2e-3", rates]
    verb, run = [sys.executable, "-m", "launch"], [sys.executable, "launch/run.py"]
    return {
        "peer: import torch": [sys.executable, "-c", "import torch; print()"],
        "peer: Hydra alone on this conf/": [sys.executable, "-c", BARE, "--cfg", "job"],
        "ablation --help": [*verb, "--help"],
        "run.py recipe=smoke --cfg job": [*run, "recipe=smoke", "--cfg", "job"],
        "run.py aug=mixpu (a typing error)": [*run, "aug=mixpu"],
        "run.py optim.lr=-1 (refused)": [*run, "optim.lr=-1"],
        "ablation table": [*verb, "table"],
        "ablation table tricks/3_1": [*verb, "table", "tricks/3_1"],
        "ablation table --coverage": [*verb, "table", "--coverage"],
        "ablation check": [*verb, "check", "--uri", f"sqlite:///{out}/mlflow.db"],
        f"a plan of {arms} arms": [*run, "-m", "hydra/launcher=plan", f"out={out}/runs", *axes],
    }


def timed(line: list[str], cache: str) -> tuple[float, float, float]:
    """Seconds of a core, until the first line (NaN if there is none), and until the end."""
    began, used = time.perf_counter(), os.times()
    env = {**os.environ, "ABLATION_CACHE": cache}
    process = subprocess.Popen(line, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    first = time.perf_counter() - began if process.stdout.readline() else float("nan")
    process.communicate()
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return cpu, first, time.perf_counter() - began


def main() -> None:
    """Time each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arms", type=int, default=1000)
    arguments = parser.parse_args()
    view = Table("command", "of a core, s", "with an empty cache", "first line, s", "end, s", box=None)
    for column in view.columns[1:]:
        column.justify = "right"
    with tempfile.TemporaryDirectory() as out:
        for name, line in commands(out, arguments.arms).items():
            (empty, *_), *others = [timed(line, f"{out}/cache/{abs(hash(name))}") for _ in range(arguments.rounds + 1)]
            cpu, first, end = (statistics.median(values) for values in zip(*others, strict=True))
            view.add_row(name, f"{cpu:.2f}", f"{empty:.2f}", f"{first:.2f}", f"{end:.2f}")
    Console(width=120, highlight=False).print(view)


if __name__ == "__main__":
    main()
