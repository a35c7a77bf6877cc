"""Where a number comes from: commit, uncommitted changes, packages, machine; written beside every trial."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from ablation.machine import allowance, threads
from ablation.store.atomic import write_atomic
from ablation.store.result import look
from launch.compose.paths import ROOT

FLOORS = ("ablation", "launch", "conf")  # what of the project runs
SOURCE = "source.json"  # in a frozen copy of the code, and in a submission: what `source` gave then
# However the user likes diffs, and in English: one that `git apply` and `explain` can read, with names as they are.
_GIT = ("git", "-c", "core.quotePath=false", "-c", "diff.noprefix=false", "-c", "diff.mnemonicPrefix=0")
_ENGLISH = {"LC_ALL": "C"}
_KEPT = 2**20  # bytes of a file; of a larger one its size is all that is kept


def write(
    folder: Path, seeds: Iterable[int], submission: Path | None = None, own: Sequence[Mapping[str, Any]] = ()
) -> None:
    """`provenance.json`; an attempt from another state of the code or machine adds `provenance-2.json` and so on.

    Nothing if all of these seeds are done: they are not trained again, so nothing comes from this code. `own` is what
    is known of the user's own packages (`launch.sweep.snapshot.describe_user_modules`), unless the submission tells.
    """
    if all(look(folder / f"seed-{seed}") is not None for seed in seeds):
        return
    facts = json.dumps({"own": list(own), **gather(submission)}, indent=1)
    earlier = sorted(folder.glob("provenance*.json"))
    if any(path.read_text() == facts for path in earlier):
        return
    name = "provenance.json" if not earlier else f"provenance-{len(earlier) + 1}.json"
    write_atomic(folder / name, facts.encode())


@cache
def gather(submission: Path | None = None) -> dict[str, Any]:
    """Everything that is the same for all trials of this process; of a submission, if they belong to one."""
    from ablation.machine import gpus  # and with it torch: two seconds, which looking at a sweep need not wait

    return {
        **source(submission),
        "python": sys.version.split()[0],
        "packages": _packages(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": allowance.cores(),
        "threads": threads.count(),
        "gpus": gpus.names(),
    }


@cache
def source(submission: Path | None = None) -> dict[str, Any]:
    """Commit, uncommitted changes and files new to git, in which nothing may be changed; without git why, and a digest.

    For a submission, as they were then: its code may be stored once for several commits. Of a frozen copy that runs
    without one, those of the checkout it was taken from.
    """
    for frozen in (submission, ROOT):
        if frozen is not None and (frozen / SOURCE).exists():
            found: dict[str, Any] = json.loads((frozen / SOURCE).read_bytes())
            return found
    commit, why = commit_of(ROOT, f"{FLOORS[0]}/__init__.py")
    if commit is None:
        return {"commit": None, "diff": None, "untracked": {}, "note": why, "sources": digest(_source_files())}
    return {
        "commit": commit,
        "diff": git("diff", "--no-ext-diff", "--no-color", "HEAD"),  # to the letter, so that it can be applied
        "untracked": _untracked_files(),
    }


def notes() -> list[str]:
    """What is missing of what should be known of the code."""
    facts = source()
    return [f"{facts['note']}; kept instead: a digest of the sources, {facts['sources']}"] if facts.get("note") else []


def commit_of(place: Path, file: str) -> tuple[str | None, str]:
    """The commit that is checked out where a folder lies, and if there is none, why, and what to do.

    `file` is one in it that has to be in the repository: what was unpacked inside somebody else's is none of that.
    """
    commit, why = _run_git(place, "rev-parse", "HEAD")
    if commit is None and "dubious ownership" in why:
        return None, (
            f"git does not trust {place}, which belongs to another user, so the commit is not known; allow it by "
            f"git config --global --add safe.directory {shlex.quote(str(place))}"
        )
    if commit is None and "not a git repository" in why:
        return None, f"{place} is in no git repository, so there is no commit"
    if commit is None and "HEAD" in why:
        return None, f"{place} is in a git repository without a commit"
    if commit is None:
        return None, f"the commit of {place} is not known: {why}"
    if _run_git(place, "ls-files", "--error-unmatch", "--", file)[0] is None:
        return None, f"{place} is not in the git repository that it lies in, so there is no commit"
    return commit.strip(), ""


def git(*arguments: str, place: Path | None = None) -> str | None:
    """What git answers in a folder, or in the project's; None if it refuses."""
    return _run_git(place or ROOT, *arguments)[0]


def digest(files: Mapping[str, Path]) -> str:
    """16 hexadecimal digits for files by the names given, and their bytes; of large ones their size."""
    h = hashlib.sha256()
    for name, path in sorted(files.items()):
        size = path.stat().st_size
        content = hashlib.sha256(path.read_bytes()).digest() if size <= _KEPT else str(size).encode()
        h.update(name.encode(errors="surrogateescape") + b"\0" + content)
    return h.hexdigest()[:16]


def _run_git(place: Path, *arguments: str) -> tuple[str | None, str]:
    """What git answers in a folder, None if it refuses; and why it does."""
    try:
        done = subprocess.run(
            [*_GIT, *arguments], cwd=place, capture_output=True, timeout=10, env={**os.environ, **_ENGLISH}
        )
    except FileNotFoundError:
        return None, "git is not installed"
    except (OSError, subprocess.TimeoutExpired) as e:
        return None, f"git does not answer ({e})"
    refusal = done.stderr.decode(errors="replace").strip()
    return (done.stdout.decode(errors="replace"), "") if done.returncode == 0 else (None, refusal)


def _source_files() -> dict[str, Path]:
    """The files of the project that run."""
    paths = (path for floor in FLOORS for path in (ROOT / floor).rglob("*") if path.suffix in (".py", ".yaml"))
    return {str(path.relative_to(ROOT)): path for path in paths if path.is_file()}


def _untracked_files() -> dict[str, str]:
    """Source files that git does not know yet: a new trick's are. An editor's lock, a dangling link, is no file."""
    names = (git("ls-files", "-z", "--others", "--exclude-standard", "--", *FLOORS) or "").split("\0")
    return {name: _text(ROOT / name) for name in names if name and (ROOT / name).is_file()}


def _text(path: Path) -> str:
    size = path.stat().st_size
    return path.read_text(errors="replace") if size <= _KEPT else f"({size} bytes, not kept)"


def _packages() -> dict[str, str]:
    """The versions of what this project asks for."""
    versions = {}
    try:
        needed = requires("ablation") or []
    except PackageNotFoundError:  # run from a checkout that was not installed
        needed = ["torch", "torchvision", "hydra-core", "mlflow"]
    for line in needed:
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0]  # such as hydra-core<1.5,>=1.3.2; python_version < "3.14"
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    names = (
        [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        if cpuinfo.exists()
        else []
    )
    return names[0] if names else platform.processor()
