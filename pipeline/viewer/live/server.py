"""A server for this machine alone that shows one run, and lets nobody change anything."""

from __future__ import annotations

import errno
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from netx.errors import MonospikeError
from pipeline.viewer.live.content import Answer, Content
from pipeline.viewer.run_state import read_run

LOOPBACK = "127.0.0.1"
"""The server's address, which nobody reaches from another machine."""

PORT = 8765


class Server(ThreadingHTTPServer):
    """Answers to GET and HEAD, and only to this machine's own names for itself, so that no page from elsewhere can read
    a run by a name of its own for this address (DNS rebinding)."""

    daemon_threads = True
    allow_reuse_address = True  # a port that was let go of a moment ago; one in use is refused all the same

    def __init__(self, folder: Path, port: int) -> None:
        """``port`` 0: any that is free. Raises MonospikeError where the folder is no run that can be shown, or the port
        cannot be had."""
        run = read_run(folder)
        if run.problem is not None:
            raise MonospikeError(run.problem)
        self.content = Content(folder)
        try:
            super().__init__((LOOPBACK, port), _Handler)
        except OSError as error:
            said = {
                errno.EADDRINUSE: "is in use",
                errno.EACCES: "is not for every user",
            }.get(error.errno or 0, f"cannot be had ({error.strerror})")
            raise MonospikeError(f"port {port}: {said}; give another with --port, or 0 for any that is free") from None

    @property
    def address(self) -> str:
        """The page's."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    @property
    def names(self) -> tuple[str, str]:
        """By which requests may call it."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server
    server_version, sys_version = "monospike", ""
    timeout = 30
    """Seconds for which a connection may be silent."""

    def do_GET(self) -> None:
        """Send what is asked for."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Send what is asked for, without its body."""
        self._answer(body=False)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a page that follows a run asks every second."""

    def _answer(self, body: bool) -> None:
        if self.headers.get("Host") not in self.server.names:
            self.send_error(HTTPStatus.FORBIDDEN, "asked for by another name")
            return
        try:
            answer = self.server.content.answer(self.path)
        except (MonospikeError, OSError, ValueError):  # damaged, or replaced just now
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, "cannot be read")
            return
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self._send(answer, body)

    def _send(self, answer: Answer, body: bool) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in {
            "Content-Type": answer.type,
            "Content-Length": str(len(answer.body)),
            "Content-Security-Policy": answer.policy,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(answer.body)
