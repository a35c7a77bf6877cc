"""Where a number comes from: commit, uncommitted changes, packages, machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from ablation.atomic import write_atomic
from ablation.result import look

ROOT = Path(__file__).resolve().parents[1]
FLOORS = ("ablation", "launch", "conf")  # what of the project runs
SOURCE = "source.json"  # in a frozen copy of the code, and in a submission: what git said then
# However the user likes diffs: one that `git apply` and `explain` can read, with names as they are.
_GIT = (
    "git",
    "-C",
    str(ROOT),
    "-c",
    "core.quotePath=false",
    "-c",
    "diff.noprefix=false",
    "-c",
    "diff.mnemonicPrefix=0",
)
_KEPT = 2**20  # bytes of a new file


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run([*_GIT, *arguments], cwd=ROOT, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None


def _untracked() -> dict[str, str]:
    """Source files that git does not know yet: a new trick's are. An editor's lock, a dangling link, is no file."""
    names = (_git("ls-files", "-z", "--others", "--exclude-standard", "--", *FLOORS) or "").split("\0")
    return {name: _text(ROOT / name) for name in names if name and (ROOT / name).is_file()}


def _text(path: Path) -> str:
    size = path.stat().st_size
    return path.read_text(errors="replace") if size <= _KEPT else f"({size} bytes, not kept)"


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
def source(submission: Path | None = None) -> dict[str, Any]:
    """Commit, uncommitted changes and files new to git, in which nothing may be changed.

    For a submission, as they were then: its code may be stored once for several commits. Of a frozen copy that runs
    without one, those of the checkout it was taken from.
    """
    for frozen in (submission, ROOT):
        if frozen is not None and (frozen / SOURCE).exists():
            found: dict[str, Any] = json.loads((frozen / SOURCE).read_bytes())
            return found
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit and commit.strip(),
        "diff": _git("diff", "--no-ext-diff", "--no-color", "HEAD"),  # to the letter, so that it can be applied
        "untracked": _untracked(),
    }


@cache
def gather(submission: Path | None = None) -> dict[str, Any]:
    """Everything that is the same for all trials of this process; of a submission, if they belong to one."""
    import torch  # takes two seconds, which looking at a sweep need not

    return {
        **source(submission),
        "python": sys.version.split()[0],
        "packages": _packages(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
    }


def write(folder: Path, seeds: Iterable[int], submission: Path | None = None) -> None:
    """`provenance.json`; an attempt from another state of the code or machine adds `provenance-2.json` and so on.

    Nothing if all of these seeds are done: they are not trained again, so nothing comes of this code.
    """
    if all(look(folder / f"seed-{seed}") is not None for seed in seeds):
        return
    facts = json.dumps(gather(submission), indent=1)
    earlier = sorted(folder.glob("provenance*.json"))
    if any(path.read_text() == facts for path in earlier):
        return
    name = "provenance.json" if not earlier else f"provenance-{len(earlier) + 1}.json"
    write_atomic(folder / name, facts.encode())
