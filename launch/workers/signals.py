"""What asks a run to stop: Ctrl-C, SIGTERM, and SIGHUP, which comes when a terminal is closed."""

from __future__ import annotations

import faulthandler
import signal
import sys
import time
from collections.abc import Callable
from threading import Event
from typing import Any

SAVE_SECONDS = 600.0  # that a process is given to save after it was asked to stop, whatever it hangs in
_ONE_PRESS = 0.5  # seconds in which a signal may come twice: programs such as `timeout` send it to us and to our group


def limit_saving() -> None:
    """This process has been asked to stop and is to end in time: else it says where it hangs, and ends."""
    faulthandler.dump_traceback_later(SAVE_SECONDS, exit=True, file=sys.stderr)


class StopSignals:
    """A context in which the first signal asks to save and stop, and a second Ctrl-C or SIGTERM to end at once.

    SIGHUP only ever asks to save: the shell and the kernel both send it. What is ignored already stays so, as SIGHUP
    under nohup.
    """

    def __init__(self) -> None:
        self.received = Event()
        self._stop: Callable[[], None] = lambda: None
        self._end: Callable[[], None] = lambda: None
        self._pressed: float | None = None  # when (monotonic) the first Ctrl-C or SIGTERM came
        self._before: dict[signal.Signals, Any] = {}

    def direct_to(self, stop: Callable[[], None], end: Callable[[], None]) -> None:
        """Call these from now on, in a signal handler; `stop` at once if a signal has been received."""
        self._stop, self._end = stop, end
        if self.received.is_set():
            stop()

    def __enter__(self) -> StopSignals:
        signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        handled = [number for number in signals if signal.getsignal(number) is not signal.SIG_IGN]
        self._before = {number: signal.signal(number, self._on_signal) for number in handled}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: object) -> None:
        again = self._pressed is not None and time.monotonic() - self._pressed > _ONE_PRESS
        if number != signal.SIGHUP and self._pressed is None:
            self._pressed = time.monotonic()
        if not self.received.is_set():
            self.received.set()
            self._stop()
        elif again and number != signal.SIGHUP:
            self._end()
