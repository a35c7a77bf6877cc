"""Commands as another user of this machine, who has a number and no name, as in a container."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ANN, BOB, GROUP = 4241, 4242, 4240
ROOT = Path(__file__).resolve().parents[1]


def run_as(user: int, umask: int, *command: object, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run it in the project's folder, as a user who is in GROUP; `home`: else there is none."""
    env = {k: v for k, v in os.environ.items() if k != "HOME"} | {"PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"HOME": str(home)} if home else {}
    switch = f"umask {umask:03o}; exec setpriv --reuid={user} --regid={user} --groups={GROUP}"
    line = shlex.join(map(str, command))
    script = f"set -e\n{_opened()}\n{switch} {line}"
    return subprocess.run(
        ["unshare", "-m", "bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )


def require_users() -> None:
    """Skip a test where no other user can run the project."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to be other users")
    tried = run_as(ANN, 0o022, sys.executable, "-c", "import torch, launch")
    if tried.returncode:
        pytest.skip(f"another user cannot run this Python: {tried.stderr.strip()[-200:]}")


def _opened() -> str:
    """Shell commands by which, in a mount namespace of its own, a Python in root's home can be run by others."""
    python, inside = Path(sys.base_prefix), "/run"
    closed = next((p for p in reversed(python.parents) if not p.stat().st_mode & 0o001), None)
    if closed is None:
        return ""
    place, hold, closed_ = shlex.quote(str(python)), f"{inside}/python-of-tests", shlex.quote(str(closed))
    return (
        f"mount -t tmpfs tmpfs {inside}; mkdir {hold}; mount --bind {place} {hold}; "
        f"mount -t tmpfs -o mode=755 tmpfs {closed_}; mkdir -p {place}; mount --bind {hold} {place}"
    )
