"""Files that are whole at every moment. Not in checkpoint.py, so that who reads and writes text needs no torch."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from ablation.store.file_errors import naming


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that at every moment the old or the new content is there, also after a power cut."""
    scratch = path.with_name(f"{path.name}.{uuid4().hex}.tmp")  # processes of several machines may share a pid
    try:
        with naming(path):
            with scratch.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            scratch.replace(path)
            sync(path.parent)
    finally:
        with suppress(OSError):  # where nothing can be removed either, what went wrong first is what is told
            scratch.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Let a file, or the names in a folder, outlast a power cut, which else leaves files empty or without names."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_mapping(path: Path) -> dict[str, Any]:
    """What a JSON file holds, empty if it is not there, damaged, or no mapping."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
