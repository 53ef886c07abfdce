"""optuna-dashboard for every sweep of a storage, read-only by default.

The dashboard has neither users nor a read-only mode, and renaming a study there copies it and deletes the original
while agents use it. So by default it listens on this machine only and answers only GET and HEAD.
"""

from __future__ import annotations

import json
import socket
import socketserver
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from ddsweep.errors import UserError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

REASON = json.dumps({"reason": "the dashboard is read-only; start it with --allow-edit"}).encode()


def serve(
    storage: str,
    artifacts_dir: Path | None,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    allow_edit: bool = False,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until interrupted.

    Args:
        storage: path or URL, as for ``backends.connect``.
        artifacts_dir: folder of images that are stored as files; None: the folder beside an SQLite file.
        host: address to listen on.
        port: port to listen on; 0: any free one.
        allow_edit: let the browser change and delete studies.
        ready: called with the URL once the server answers.

    Raises:
        UserError: the storage cannot be opened or the port is taken.
    """
    with listen(application(storage, artifacts_dir, allow_edit=allow_edit), host, port) as server:
        ready(server.url)
        server.serve_forever()


def application(storage: str, artifacts_dir: Path | None, *, allow_edit: bool = False) -> WSGIApplication:
    """The dashboard as a WSGI application."""
    import optuna_dashboard

    from ddsweep.backends.optuna import artifacts
    from ddsweep.backends.optuna.database import open_database

    database = open_database(storage, read_only=not allow_edit)
    artifacts.prepare(database)
    store = artifacts.Artifacts(database, artifacts_dir)
    app: WSGIApplication = optuna_dashboard.wsgi(database.rdb, artifact_store=store)
    return app if allow_edit else read_only(app)


def read_only(app: WSGIApplication) -> WSGIApplication:
    """``app`` for GET and HEAD; 403 with a JSON reason for every other method."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(REASON)))])
        return [REASON]

    return answer


def listen(app: WSGIApplication, host: str, port: int) -> Server:
    """Bind a server that will serve ``app``. Raises UserError if the address is not available."""
    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot listen on {host} port {port}: {reason}; choose another --port") from error
    server.set_app(app)
    return server


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A server with a thread per request, so that one slow page does not delay the images of others."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    @property
    def url(self) -> str:
        """The address at which it answers."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}/dashboard/"

    def server_bind(self) -> None:
        """Bind without looking up the host name, which can be slow on a machine without network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore browsers that close a connection early."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    """A handler that does not print requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
