"""Processes that hold a seed, here and elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ablation.store.attempt import Owner, folder, latest

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def process(program: str, *arguments: object, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A Python process; killed at the end if it still runs."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    line = [sys.executable, "-c", program, *map(str, arguments)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(line, env={**os.environ, "PYTHONPATH": path, **env}, **pipes) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


HOLDER = """
import sys
from pathlib import Path
from typing import Any
from ablation.store.claim import claim
with claim(Path(sys.argv[1]), lease=60) as attempt:
    print(attempt.number, flush=True)
    sys.stdin.readline()
"""


def foreign(seed_folder: Path, holder: Owner | None = None, beat_ago: float = 0) -> Path:
    """An attempt by a process that cannot be looked at from here, or by the one given."""
    made = folder(seed_folder, latest(seed_folder) + 1)
    made.mkdir(parents=True)
    elsewhere = replace(Owner.here(), host="elsewhere", boot="another")
    (made / "owner.json").write_text(json.dumps(asdict(holder or elsewhere)))
    (made / "beat").touch()
    now = (made / "beat").stat().st_mtime
    os.utime(made / "beat", (now - beat_ago, now - beat_ago))
    return made
