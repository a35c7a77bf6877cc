"""A worker: a process that imports once and then trains one work after another, as its driver says.

    python -P -m launch.workers.worker SUBMISSION_FOLDER [--memory-share F]

On its standard input it reads lines `{"work": [id, [seeds]], "supersede": [jobs], "probe": false}` or
`{"close": true}`, on its standard output it writes the events of `launch.workers.trainer`; what libraries print goes to
standard error. If its driver dies (its input ends without `close`) or it gets SIGTERM, SIGINT or SIGUSR2, it saves,
stops and ends; whatever it hangs in, it is not there for ever.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from launch.status.outcome import encode
from launch.terminal.streams import outlive_output
from launch.workers.signals import limit_saving

_STOP = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class Channel:
    """The connection to the driver, taken away from the process's own standard input and output."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._orders: SimpleQueue[dict[str, Any] | None] = SimpleQueue()  # None: no more
        self._source, self._sink = os.fdopen(os.dup(0), "rb"), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(2, 1)
        for number in _STOP:
            signal.signal(number, lambda *_: self._leave())
        threading.Thread(target=self._read, name="orders", daemon=True).start()

    def send(self, event: Mapping[str, Any]) -> None:
        """Send the driver an event; one that is gone is no error, since the input's end stops the training."""
        line = encode(event)
        try:
            while line:
                line = line[os.write(self._sink, line) :]
        except BrokenPipeError:
            self._leave()

    def receive(self) -> dict[str, Any] | None:
        """Wait for the next order; None: there are no more."""
        order = self._orders.get()
        return None if self.stop.is_set() else order

    def _leave(self) -> None:
        if not self.stop.is_set():
            limit_saving()
        self.stop.set()
        self._orders.put(None)

    def _read(self) -> None:
        for line in self._source:
            order = json.loads(line)
            if "close" in order:
                self._orders.put(None)
                return
            self._orders.put(order)
        self._leave()


def main() -> None:
    """Serve until there is no more to do."""
    parser = argparse.ArgumentParser(prog="python -m launch.workers.worker", description=__doc__)
    parser.add_argument("submission", type=Path)
    parser.add_argument("--memory-share", type=float, default=1.0, help="of the GPU's memory, from 0 to 1")
    arguments = parser.parse_args()
    faulthandler.enable()
    channel = Channel()
    outlive_output(hang_up=False)
    from launch.workers.trainer import Trainer  # only now: what it imports may print

    trainer = Trainer(arguments.submission, arguments.memory_share, channel.send, channel.stop.is_set)
    while (order := channel.receive()) is not None:
        if not trainer.train(order["work"], order["supersede"], order["probe"]):
            return


if __name__ == "__main__":
    main()
