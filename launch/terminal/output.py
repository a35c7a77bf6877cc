"""Standard output and error of what runs for hours: a log on a full disk must not end what is logged."""

from __future__ import annotations

import io
import sys
from contextlib import suppress
from typing import Any

from ablation.store.file_errors import of_disk


class _Lossy(io.FileIO):
    """Drops what its disk does not take."""

    def write(self, data: Any, /) -> int:
        """How many bytes were taken, or given up."""
        try:
            return super().write(data)
        except OSError as e:
            if not of_disk(e):
                raise
            return memoryview(data).nbytes


def drop_what_finds_no_room() -> None:
    """From now on lines that cannot be written, as the disk of the log is full or its terminal gone, are lost."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        with suppress(AttributeError, OSError, ValueError):  # it is no file, such as what a test captures
            stream.flush()
            kept = io.TextIOWrapper(
                io.BufferedWriter(_Lossy(stream.fileno(), "w", closefd=False)),
                encoding=stream.encoding,
                errors=stream.errors,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, kept)
