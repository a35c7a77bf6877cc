"""Where a number comes from: commit, uncommitted changes, packages, machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from ablation.atomic import write_atomic

ROOT = Path(__file__).resolve().parents[1]
SOURCE = "source.json"  # in a frozen copy of the code: what git said when it was frozen


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _untracked() -> dict[str, str]:
    """Source files that git does not know yet: a new trick's are."""
    names = _git("ls-files", "--others", "--exclude-standard", "--", "ablation", "launch", "conf") or ""
    return {name: (ROOT / name).read_text(errors="replace") for name in names.splitlines()}


def _packages() -> dict[str, str]:
    """The versions of what this project asks for."""
    found = {}
    try:
        needed = requires("ablation") or []
    except PackageNotFoundError:  # run from a checkout that was not installed
        needed = ["torch", "torchvision", "hydra-core", "mlflow"]
    for line in needed:
        name = line.split(";")[0].split("[")[0].split(">")[0].split("=")[0].strip()
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if cpuinfo.exists()
        else []
    )
    return names[0] if names else platform.processor()


@cache
def source() -> dict[str, Any]:
    """Commit, uncommitted changes and files new to git; of a frozen copy, those of the checkout it was taken from."""
    frozen = ROOT / SOURCE
    if frozen.exists():
        found: dict[str, Any] = json.loads(frozen.read_text())
        return found
    return {"commit": _git("rev-parse", "HEAD"), "diff": _git("diff", "HEAD"), "untracked": _untracked()}


@cache
def gather() -> dict[str, Any]:
    """Everything that is the same for all trials of this process."""
    import torch  # takes two seconds, which looking at a sweep need not

    return {
        **source(),
        "python": sys.version.split()[0],
        "packages": _packages(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def write(folder: Path) -> None:
    """`provenance.json`; an attempt from another state of the code or machine adds `provenance-2.json` and so on."""
    facts = json.dumps(gather(), indent=1)
    earlier = sorted(folder.glob("provenance*.json"))
    if any(path.read_text() == facts for path in earlier):
        return
    name = "provenance.json" if not earlier else f"provenance-{len(earlier) + 1}.json"
    write_atomic(folder / name, facts.encode())
