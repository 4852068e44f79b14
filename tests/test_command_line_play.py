"""python -m pynn play: it serves the page to this machine, or says how to get it."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
import webbrowser
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import complaint, out

from pynn import _play

PAGE = "<!doctype html><title>a page, with é</title>".encode()
LONG = 60  # seconds that no step of these tests takes


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a package that was built without the page."""
    monkeypatch.setattr(_play, "PACKAGE", tmp_path / "pynn")
    return tmp_path / "pynn"


@pytest.fixture
def page(package: Path) -> Path:
    """A page that is part of the package."""
    page = package / "_page" / "index.html"
    page.parent.mkdir(parents=True)
    page.write_bytes(PAGE)
    return page


@pytest.fixture
def server(page: Path) -> Iterator[_play.Server]:
    """A server in a thread, on a port that was free."""
    with _play.Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(LONG)


def ask(
    server: _play.Server, method: str, path: str, seconds: float = LONG
) -> tuple[http.client.HTTPResponse, bytes]:
    """An answer of the server, and its body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=seconds)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


@pytest.mark.parametrize("path", ["/", "/index.html", "/?x=1"])
@pytest.mark.parametrize(("method", "body"), [("GET", PAGE), ("HEAD", b"")])
def test_the_page(server: _play.Server, method: str, body: bytes, path: str) -> None:
    """It comes with its type and length, may load nothing, and is not kept by the browser."""
    answer, found = ask(server, method, path)
    assert (answer.status, found) == (200, body)
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Length"] == str(len(PAGE))
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Server"] == "pynn"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none';") and "http" not in policy


@pytest.mark.parametrize(
    "path", ["/x", "/index.htm", "/../pyproject.toml", "/a/index.html", "/%2e%2e/index.html"]
)
def test_nothing_else_is_served(server: _play.Server, path: str) -> None:
    """Whatever the path: no file of the disk."""
    answer, body = ask(server, "GET", path)
    assert (answer.status, body) == (404, b"404 Not Found\n")


def test_other_methods(server: _play.Server) -> None:
    """Nothing can be sent to it."""
    assert ask(server, "POST", "/")[0].status == 501


def test_for_this_machine_alone(server: _play.Server) -> None:
    """It listens at the address that only programs on this machine reach."""
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_port}/"


def test_an_idle_connection_keeps_nobody_waiting(server: _play.Server) -> None:
    """Browsers open connections before they need them."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=LONG):
        assert ask(server, "GET", "/", LONG / 3)[1] == PAGE  # before the server gives up on it


def test_a_head_ends_with_its_headers(server: _play.Server) -> None:
    """HEAD gets no body, which http.client would pass over."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=LONG) as connection:
        connection.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 200 ") and answer.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("error", "lines"), [(BrokenPipeError(), 0), (ValueError("x"), 3)])
def test_a_client_that_goes_away(
    server: _play.Server, error: Exception, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is no error, while a mistake of the server's shows its traceback."""
    try:
        raise error
    except Exception:
        server.handle_error(None, ("127.0.0.1", 1))
    assert (len(capsys.readouterr().err.splitlines()) >= 3) == (lines > 0)


@pytest.mark.parametrize("options", [[], ["--no-browser"]])
def test_the_browser(
    page: Path,
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is shown the address that is printed, unless it is not wanted; Ctrl-C ends with 0."""
    opened: list[str] = []
    shown = threading.Event()

    def show(url: str) -> None:
        opened.append(url)
        shown.set()

    def interrupted(server: _play.Server) -> None:
        assert options or shown.wait(LONG)
        raise KeyboardInterrupt

    monkeypatch.setattr(webbrowser, "open", show)
    monkeypatch.setattr(_play.Server, "serve_forever", interrupted)
    (line,) = out(capsys, "play", *options)
    assert line.startswith("http://127.0.0.1:") and line.endswith("/  (Ctrl-C ends it)")
    assert opened == ([] if options else [line.split()[0]])


def test_a_port_in_use(server: _play.Server, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the port."""
    port = str(server.server_port)
    assert complaint(capsys, "play", "--port", port) == f"port {port}: Address already in use"


@pytest.mark.parametrize("port", ["-1", "65536"])
def test_a_port_that_cannot_be(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says what can."""
    assert complaint(capsys, "play", "--port", port).startswith("--port must be in [0, 65535]")


def test_without_a_page(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error says how to get it."""
    message = complaint(capsys, "play")
    assert "built without the page" in message
    assert "pip install '.[page]' && python web/build.py && pip install ." in message


def test_a_page_of_the_source_folder(package: Path) -> None:
    """Where pynn runs from its source, the page that was built there is served, and only there."""
    built = package.parent / "build" / "page" / "index.html"
    built.parent.mkdir(parents=True)
    built.touch()
    with pytest.raises(FileNotFoundError):
        _play.find_page()
    (package.parent / "web").mkdir()
    (package.parent / "web" / "build.py").touch()
    assert _play.find_page() == built


SERVE = """
import sys
from pathlib import Path
from pynn import __main__, _play
_play.PACKAGE = Path(sys.argv[1])
sys.exit(__main__.main(["play", "--no-browser"]))
"""


def test_as_a_program(page: Path, package: Path, ctrl_c: None) -> None:
    """The address is there as soon as the server is, and Ctrl-C ends it without a word."""
    command = [sys.executable, "-c", SERVE, str(package)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().decode().split()[0]
            with urllib.request.urlopen(url, timeout=LONG) as answer:
                assert answer.read() == PAGE
            process.send_signal(signal.SIGINT)
            rest = process.communicate(timeout=LONG)
            assert (rest, process.returncode) == ((b"", b""), 0)
        finally:
            process.kill()
