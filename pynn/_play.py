"""The server of `python -m pynn play`: one page, from memory, for this machine alone."""

from __future__ import annotations

import contextlib
import sys
import threading
import webbrowser
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from pynn._base import checks

PACKAGE = Path(__file__).parent

MISSING = (
    "this pynn was built without the page. In a clone of the repository run: pip install '.[page]'"
    " && python web/build.py && pip install ."
)

# The page's own scripts, styles and pictures, which are in it, and nothing else: no other address.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline';"
    " img-src data: blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # after a new build the browser shows the new page
}


def find_page() -> Path:
    """Return the file of the page: that of the package or, in a source folder, the last one built.

    Raises:
        FileNotFoundError: The page was not built; the message says how to get it.
    """
    pages = [PACKAGE / "_page" / "index.html"]
    if (PACKAGE.parent / "web" / "build.py").exists():
        pages.append(PACKAGE.parent / "build" / "page" / "index.html")
    for page in pages:
        if page.exists():
            return page
    raise FileNotFoundError(MISSING)


class Server(ThreadingHTTPServer):
    """A server that gives the page to programs on this machine.

    It has a thread for each connection, because browsers open connections that they do not use at
    once, and these would keep others waiting.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        """Read the page and listen.

        Args:
            port: The port, from 0 to 65535; 0 for one that is free.

        Raises:
            FileNotFoundError: The page was not built.
            OSError: The port is in use, or needs rights that this process does not have.
        """
        port = checks.integer("--port", port, least=0, most=65535)
        self.page = find_page().read_bytes()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise OSError(error.errno, error.strerror, f"port {port}") from None

    @property
    def url(self) -> str:
        """The address of the page."""
        return f"http://127.0.0.1:{self.server_port}/"

    def run(self, *, browser: bool) -> None:
        """Serve the page until Ctrl-C; with `browser`, show it in the user's web browser.

        The browser is started in a thread, because one that runs in a terminal returns only when
        it is closed, and it needs the page before that.
        """
        if browser:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        with contextlib.suppress(KeyboardInterrupt):
            self.serve_forever()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a client that went away; print the traceback of any other error."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers with the page, or that there is nothing else."""

    server: Server
    error_content_type = "text/plain"
    error_message_format = "%(code)d %(message)s\n"
    timeout = 60  # seconds, for a request that does not end
    paths: ClassVar = {"/", "/index.html"}

    def do_GET(self) -> None:
        """Send the page."""
        self._send(with_body=True)

    def do_HEAD(self) -> None:
        """Send what GET would, without the page itself."""
        self._send(with_body=False)

    def _send(self, *, with_body: bool) -> None:
        if self.path.partition("?")[0] not in self.paths:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.page)))
        self.end_headers()
        if with_body:
            self.wfile.write(self.server.page)

    def version_string(self) -> str:
        """Name the server, without the versions of Python's parts."""
        return "pynn"

    def log_message(self, format: str, *values: Any) -> None:
        """Print nothing: requests of one's own browser are no news."""
