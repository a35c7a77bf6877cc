"""`python launch/run.py [group=option ...] [key=value ...]`: one arm, here; with `-m`, every arm of a grid."""

import _signal  # type: ignore[import-not-found]  # what `signal` is made of: that one would be read from disk first
import os
import sys

_NOTHING = "stopped before anything was trained; the same command begins anew\n"


class Opening:
    """A context for imports, in which Ctrl-C ends the process at once, with a message and exit code 130.

    As nothing has begun, nothing is to be undone. An exception would be printed, and lost, wherever Python cannot raise
    it (in a `__del__`, in a callback of the import system), or be caught by a library that tries what there is.
    """

    def __init__(self, message: str) -> None:
        self._message = message
        self._ours = _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler  # else it is ignored, say

    def __enter__(self) -> None:
        if self._ours:
            _signal.signal(_signal.SIGINT, self._end)

    def __exit__(self, *_: object) -> None:
        if self._ours:
            _signal.signal(_signal.SIGINT, _signal.default_int_handler)

    def _end(self, *_: object) -> None:
        try:
            os.write(2, self._message.encode())
        finally:
            os._exit(130)


def cli() -> None:
    """Run it. Ctrl-C before anything is trained is no error, not even while libraries are imported: exit code 130."""
    try:
        with Opening(_NOTHING):
            from launch.compose.paths import ensure_home

            ensure_home()  # before anything looks for its cache there

            from launch import one_arm

        one_arm.cli()
    except KeyboardInterrupt:
        sys.stderr.write(_NOTHING)
        sys.exit(130)


if __name__ == "__main__":
    cli()
