"""A small model hub on this machine: what `huggingface_hub` asks of one, and transfers that break off.

It serves the folders of a folder, `owner/name` each. Those named in `gated` want terms to be accepted. The first
transfer of a file in `broken` ends in the middle.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    folder: Path
    address: str = ""
    gated: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)
    sent: list[tuple[str, int]] = field(default_factory=list)  # files, and the byte from which on they were sent


@contextmanager
def serving(folder: Path) -> Iterator[Hub]:
    """Serve `folder`; the address is that for `HF_ENDPOINT`."""
    hub = Hub(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": hub}))
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        parts = urlsplit(self.path).path.strip("/").split("/")
        if parts[0] == "api":
            self.about("/".join(parts[2:4]), parts[4:5])
        else:
            parts = parts[1:] if parts[0] == "datasets" else parts
            self.file("/".join(parts[:2]), "/".join(parts[4:]))

    do_HEAD = do_GET  # noqa: N815

    def about(self, name: str, asked: list[str]) -> None:
        folder = self.hub.folder / name
        if not folder.is_dir():
            self.answer(404, {"X-Error-Code": "RepoNotFound"}, b"{}")
        elif asked == ["auth-check"] and name in self.hub.gated:
            self.answer(403, {"X-Error-Code": "GatedRepo"}, b"{}")
        else:
            paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
            files = [(str(path.relative_to(folder)), path.stat().st_size) for path in paths]
            facts: object = {
                "id": name,
                "sha": COMMIT,
                "siblings": [{"rfilename": n, "size": size} for n, size in files],
            }
            if asked == ["tree"]:
                facts = [{"type": "file", "path": n, "size": size, "oid": COMMIT} for n, size in files]
            self.answer(200, {}, json.dumps(facts).encode())

    def file(self, name: str, path: str) -> None:
        file = self.hub.folder / name / path
        if name in self.hub.gated:
            self.answer(403, {"X-Error-Code": "GatedRepo"}, b"")
        elif not file.is_file():
            self.answer(404, {"X-Error-Code": "EntryNotFound"}, b"")
        else:
            data = file.read_bytes()
            asked = self.headers.get("Range", "bytes=0-")
            start = int(asked.removeprefix("bytes=").partition("-")[0])
            tag = {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if start:
                tag["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            if self.command == "GET":
                self.hub.sent.append((f"{name}/{path}", start))
            breaks = self.command == "GET" and path in self.hub.broken
            self.answer(206 if start else 200, tag, data[start:], cut=len(data) // 2 if breaks else None)
            if breaks:
                self.hub.broken.discard(path)

    def answer(self, code: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(code)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""
