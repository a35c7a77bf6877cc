"""What the tables of costs share: one thread, the clock, the machine in words, and how a table is written.

Import it before torch: it says how many threads there are.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import torch  # noqa: E402

from ablation.machine.precision import Precision  # noqa: E402


def milliseconds(work: Callable[[], Any], device: torch.device) -> float:
    """Processor time of this process, which other programs disturb little, or between two events of the GPU."""
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        return float(begin.elapsed_time(end))
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def middle(values: Sequence[float]) -> tuple[float, float, float]:
    """The median between the ends of the middle half: low, median, high."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


def machine(precision: Precision) -> str:
    """In words, without names."""
    if precision.device.type == "cuda":
        return torch.cuda.get_device_name(precision.device)
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    name = names[0].partition(":")[2].strip() if names else platform.machine()
    return f"{name}, {torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"


def commit() -> str:
    """The code that is measured."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "ablation", "conf")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + (" with uncommitted changes" if changed else "")


def write(stem: Path, table: str, about: str, costs: Sequence[dict[str, Any]]) -> None:
    """What there is so far, as a table and as JSON."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".md").write_text(table)
    facts = {"about": " ".join(about.split()), "costs": list(costs)}
    stem.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
