"""A tracker that misbehaves as one is told, in front of one that does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

TOKEN = "sesame"  # that opens a locked tracker
_PASSED_ON = ("Content-Type", "Authorization")


class OddTracker(ThreadingHTTPServer):
    """Does with each request what `mood` says now; `asked` counts them."""

    daemon_threads = True
    block_on_close = False  # some of its threads never end

    def __init__(self, mood: str, behind: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.mood, self.behind, self.asked = mood, behind, 0
        self.authorization: str | None = None  # of the last request
        self.closing = threading.Event()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Nothing: whoever asked has gone."""


class _Answer(BaseHTTPRequestHandler):
    server: OddTracker

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.authorization = self.headers.get("Authorization")
        word, _, value = self.server.mood.partition(" ")
        getattr(self, word)(*([value] if value else []))

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def good(self) -> None:
        """Pass on to the tracker behind."""
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
        request = Request(self.server.behind + self.path, self.rfile.read(length) or None, headers, method=self.command)
        try:
            with urlopen(request, timeout=60) as answer:
                self._send(answer.status, answer.read())
        except HTTPError as e:
            with e:
                self._send(e.code, e.read())

    def locked(self) -> None:
        """Open to those who have the token."""
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            self.good()
        else:
            self.code("401")

    def code(self, number: str) -> None:
        said = {"error_code": "UNAUTHENTICATED" if number == "401" else "INTERNAL_ERROR", "message": "no"}
        self._send(int(number), json.dumps(said).encode())

    def experiment(self, stage: str) -> None:
        """Every experiment is there."""
        self._send(200, json.dumps({"experiment": {"experiment_id": "3", "lifecycle_stage": stage}}).encode())

    def page(self, number: str) -> None:
        """As a proxy does that wants people to log in, or a server of something else."""
        self._send(int(number), b"<html>Log in</html>")

    def slow(self, seconds: str) -> None:
        self.server.closing.wait(float(seconds))
        self.good() if self.server.behind else self.code("404")

    def hang(self) -> None:
        self.server.closing.wait()

    def drip(self) -> None:
        """Byte by byte, each well within anybody's patience."""
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not self.server.closing.wait(0.5):
            self.wfile.write(b" ")

    def cut(self) -> None:
        """Close in the middle of an answer."""
        self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"experiment": {')
        self.close_connection = True

    def shut(self) -> None:
        """Close without an answer."""
        self.close_connection = True

    def noise(self) -> None:
        """Not HTTP at all."""
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")

    def _send(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def odd_tracker(mood: str, behind: str = "") -> Iterator[OddTracker]:
    """One that serves; `behind` is the URI of one that works."""
    with OddTracker(mood, behind) as made:
        threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True).start()
        yield made
        made.closing.set()
        made.shutdown()
