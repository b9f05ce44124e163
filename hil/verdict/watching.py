"""The live page: a server for this machine only, in a process of its own, that shows whatever run is told to it."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from bmsthermal.errors import InputError
from hil.verdict.board import Board
from hil.verdict.live import PORT
from hil.verdict.page import rendered

#: The only address that is ever listened on.
HOST = "127.0.0.1"
#: Pages that are served at a time.
PAGES = 16


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = sys.platform != "win32"  # there it would let two servers have one port

    def __init__(self, port: int, board: Board, page: bytes) -> None:
        self.board, self.page, self.room = board, page, threading.BoundedSemaphore(PAGES)
        super().__init__((HOST, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version, sys_version = "bmsthermal", ""
    timeout = 20  # of a browser that asks nothing, or takes nothing

    def do_GET(self) -> None:
        port = self.server.server_address[1]
        if self.headers.get("Host", "") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self._answer(403, b"this page is for this machine only\n")  # a name that was made to lead here
        elif self.path == "/":
            self._answer(200, self.server.page, "text/html; charset=utf-8")
        elif self.path == "/favicon.ico":
            self._answer(204)
        elif self.path == "/events":
            self._events()
        else:
            self._answer(404, b"nothing here\n")

    def _answer(self, status: int, content: bytes = b"", kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self._headers(kind)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _headers(self, kind: str) -> None:
        for name, value in (("Content-Type", kind), ("Cache-Control", "no-store"), ("X-Frame-Options", "DENY"),
                            ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer")):  # fmt: skip
            self.send_header(name, value)

    def _events(self) -> None:
        """Server-sent events until the browser or the server goes."""
        if not self.server.room.acquire(blocking=False):
            self._answer(503, b"too many pages are open\n")
            return
        try:
            self.send_response(200)
            self._headers("text/event-stream")
            self.end_headers()
            for event in self.server.board.events():
                text = ": still here\n\n"
                if event is not None:
                    data = json.dumps(event[1], separators=(",", ":"))
                    text = f"event: {event[0]}\ndata: {data}\n\n"
                self.wfile.write(text.encode())
        except OSError:
            pass  # it went away
        finally:
            self.server.room.release()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Watcher:
    """Server of the live page and listener to what runs tell; a context.

    Parameters
    ----------
    port
        Of both, on 127.0.0.1; 0 for any that is free.

    Raises
    ------
    InputError
        If the port is taken.
    """

    def __init__(self, port: int = PORT) -> None:
        page = rendered(
            title="Bench, live", sentence="No run yet: start one with bmsthermal hil run.", tone="", outcomes=(),
            one=None, matrix=None, charts={}, runs="", live=True,
        )  # fmt: skip
        self.board = Board()
        try:
            self._server = _Server(port, self.board, page.encode())
        except (OSError, OverflowError) as error:
            raise _taken(port) from error
        self.port = int(self._server.server_address[1])
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # a whole run comes at once
        try:
            self._socket.bind((HOST, self.port))
        except OSError as error:
            self._socket.close()
            self._server.server_close()
            raise _taken(self.port) from error
        self._socket.settimeout(0.2)
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.2,), daemon=True),
            threading.Thread(target=self._listen, daemon=True),
        ]

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://{HOST}:{self.port}/"

    def __enter__(self) -> Watcher:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.board.close()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        self._socket.close()

    def wait(self) -> None:
        """Serve until someone interrupts: `KeyboardInterrupt`."""
        while True:  # a join without an end hears no signal on Windows
            self._threads[0].join(1.0)

    def _listen(self) -> None:
        while not self.board.closed:
            try:
                datagram = self._socket.recv(65536)
            except OSError:  # nothing for a while, or an echo of a port that is gone
                continue
            self.board.take(datagram)


def _taken(port: int) -> InputError:
    return InputError(
        f"port {port} of {HOST} cannot be had", expected="a free one from 1 to 65535",
        hint=f"another watch may be running: look at http://{HOST}:{port}/",
    )  # fmt: skip


def watch(port: int = PORT, *, open_browser: bool = False) -> None:
    """Serve the live page until interrupted: the run that is on, or the last one.

    Parameters
    ----------
    port
        Of the page, on 127.0.0.1, and of what runs tell it.
    open_browser
        Whether to open the page.

    Raises
    ------
    InputError
        If the port is taken.
    """
    from bmsthermal.console import console

    with contextlib.suppress(KeyboardInterrupt), Watcher(port) as watcher:
        console.print(f"live page: {watcher.url} (end with Ctrl-C)")
        if open_browser:
            import webbrowser

            webbrowser.open(watcher.url)
        watcher.wait()
