"""A server that fails in the ways in which servers do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cistransfer.downloads import fetch


@dataclass
class Server:
    """Serves ``files``; what each request got is in ``log``."""

    files: dict[str, bytes] = field(default_factory=dict)
    drop: int = 0  # bytes after which a connection ends; 0: never
    drops: int = 1 << 30  # how often it does
    ranges: bool = True
    tag: str = '"one"'
    status: int = 0  # instead of the file, ``failures`` times
    failures: int = 0
    kind: str = "application/octet-stream"
    length: bool = True
    log: list[tuple[str, str, int]] = field(default_factory=list)  # path, Range, status
    url: str = ""


class _Handler(BaseHTTPRequestHandler):
    server_state: Server

    def log_message(self, *words: object) -> None:
        pass

    def do_GET(self) -> None:
        state = self.server_state
        asked = self.headers.get("Range", "")
        content = state.files.get(self.path.rpartition("/")[2])
        if content is None or state.failures > 0:
            state.failures -= 1
            self._answer(asked, 404 if content is None else state.status, b"")
            return
        start = 0
        if asked and state.ranges and self.headers.get("If-Range") == state.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self._answer(asked, 206 if start else 200, content, start)

    def _answer(self, asked: str, status: int, content: bytes, start: int = 0) -> None:
        state = self.server_state
        state.log.append((self.path, asked, status))
        self.send_response(status)
        self.send_header("Content-Type", state.kind)
        self.send_header("ETag", state.tag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if state.length:
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if state.drop and state.drops > 0 and len(body) > state.drop:
            state.drops -= 1
            body = body[: state.drop]
        self.wfile.write(body)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of this machine; waits between tries are none."""
    monkeypatch.setattr(fetch, "WAITS", (0.0, 0.0, 0.0))
    state = Server()
    running = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"server_state": state})
    )
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_address[1]}"
    yield state
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CISTRANSFER_CACHE", str(tmp_path / "cache"))
