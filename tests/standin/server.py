"""The HTTP server of the stand-in: GraphQL, the file streams of runs, and storage for uploads."""

from __future__ import annotations

import base64
import gzip
import json
import re
import urllib.parse
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.standin import accounts, artifacts, registry, runs
from tests.standin.call import Call, Refusal
from tests.standin.state import State

OPERATION = re.compile(r"\b(?:query|mutation)\s+(\w+)")
STREAM = re.compile(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream")
ANSWERS = accounts.ANSWERS | registry.ANSWERS | runs.ANSWERS | artifacts.ANSWERS


class Handler(BaseHTTPRequestHandler):
    """Handles one connection; ``state`` is shared by all connections."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet; with two, Nagle's algorithm and delayed ACKs add 40 ms
    state: State
    verbose = False

    def log_message(self, *parts: Any) -> None:
        """Do not log requests."""

    def do_POST(self) -> None:
        body, path = self._body(), urllib.parse.urlparse(self.path).path
        stream = STREAM.fullmatch(path)
        with self.state.lock:
            if path == "/graphql":
                self._answer(json.loads(body))
            elif stream:
                self._receive(urllib.parse.unquote(stream[3]), json.loads(body))
            else:
                self._send({})

    def do_PUT(self) -> None:
        target = self._stored()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._body())
        self._send(b"")

    def do_GET(self) -> None:
        target = self._stored()
        if target.is_file():
            self._send(target.read_bytes())
        else:
            here = urllib.parse.urlparse(self.path).path in ("/", "/healthz", "/ready")
            self._send({"ok": here}, HTTPStatus.OK if here else HTTPStatus.NOT_FOUND)

    do_HEAD = do_GET

    def _answer(self, request: dict[str, Any]) -> None:
        """Answer a GraphQL operation by its name; the query itself is not parsed."""
        state, query = self.state, request.get("query", "")
        found = OPERATION.search(query)
        operation = found[1] if found else str(request.get("operationName"))
        state.operations[operation] += 1
        if self.verbose:
            print(operation, json.dumps(request.get("variables"))[:300], flush=True)
        status = state.failure(operation)
        if status is not None:
            self._errors("injected by the test", status)
        elif not self._known_key() and operation not in accounts.ANONYMOUS:
            self._errors("user is not logged in", HTTPStatus.UNAUTHORIZED)
        elif operation not in ANSWERS:
            state.unhandled.append(f"{operation} {query[:300]}")
            self._errors(f"the stand-in does not know {operation}", HTTPStatus.BAD_REQUEST)
        else:
            self._resolve(operation, request.get("variables") or {})

    def _resolve(self, operation: str, variables: dict[str, Any]) -> None:
        call = Call(self.state, variables, f"http://{self.headers['Host']}", self._known_key())
        try:
            self._send({"data": ANSWERS[operation](call)})
        except Refusal as refusal:
            self._errors(str(refusal), refusal.status)

    def _receive(self, name: str, request: dict[str, Any]) -> None:
        """Receive a chunk of a run's file stream."""
        self.state.operations["file_stream"] += 1
        status = self.state.failure("file_stream")
        if status is not None or not self._known_key():
            self._errors("injected by the test" if status else "not logged in", status or HTTPStatus.UNAUTHORIZED)
            return
        if name not in self.state.runs:
            self._errors(f"run {name} not found", HTTPStatus.NOT_FOUND)
            return
        run = self.state.runs[name]
        runs.hear(run)
        for stream, piece in (request.get("files") or {}).items():
            run.receive(stream, piece["offset"], piece["content"])
        run.uploaded.update(request.get("uploaded") or [])
        if request.get("complete"):
            run.end(int(request.get("exitcode") or 0))
        self._send({"exitcode": None, "limits": {}, "stopped": run.stopped})

    def _known_key(self) -> bool:
        given = self.headers.get("Authorization", "")
        expected = base64.b64encode(f"api:{self.state.key}".encode()).decode()
        return given == f"Basic {expected}"

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                raw += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw

    def _stored(self) -> Path:
        """The path of an upload; paths outside the folder are mapped to the folder itself."""
        root = self.state.folder.resolve()
        path = (root / urllib.parse.unquote(urllib.parse.urlparse(self.path).path).lstrip("/")).resolve()
        return path if path.is_relative_to(root) else root

    def _errors(self, message: str, status: int) -> None:
        self._send({"errors": [{"message": message}], "data": None}, status)

    def _send(self, value: Any, status: int = HTTPStatus.OK) -> None:
        raw = isinstance(value, bytes)
        body = value if raw else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/octet-stream" if raw else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """A server that tracks its connections, so that it can cut them as if its machine had failed."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that disconnect during a request."""

    def cut(self) -> None:
        for request in list(self._open):
            self.shutdown_request(request)
