"""Standard output and error that end no training: a terminal is closed, a reader leaves, a log's disk runs full."""

from __future__ import annotations

import errno
import io
import signal
import sys
from contextlib import suppress
from typing import Any

from ablation.store.file_errors import of_disk


def outlive_output(hang_up: bool = True) -> None:
    """From now on nothing is raised where standard output or error cannot be written to any more.

    What is written to a terminal that is gone is lost: it has sent SIGHUP, or was told not to (`disown`). So are lines
    that find no room on a log's disk. A pipe that nobody reads any more (`| head`) is the end of the program in other
    programs; here it is as if the terminal had been closed, so that a training saves first, or nothing at all if it
    shall not `hang_up`, as a job.
    """
    for name in ("stdout", "stderr"):
        with suppress(OSError, ValueError, AttributeError):  # closed, or no file: left as it is
            setattr(sys, name, _outliving(getattr(sys, name), hang_up))


def _outliving(stream: io.TextIOWrapper, hang_up: bool) -> io.TextIOWrapper:
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_OutlivingFile(stream.fileno(), stream.isatty(), hang_up)),
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


class _OutlivingFile(io.FileIO):
    """A file that takes what nobody can read any more, and what its disk does not take."""

    def __init__(self, handle: int, terminal: bool, hang_up: bool) -> None:
        super().__init__(handle, "wb", closefd=False)
        self._terminal, self._hang_up = terminal, hang_up

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as e:
            if e.errno == errno.EPIPE:
                if self._hang_up:
                    signal.raise_signal(signal.SIGHUP)
            elif not (of_disk(e) or (self._terminal and e.errno == errno.EIO)):
                raise
            return memoryview(data).nbytes
