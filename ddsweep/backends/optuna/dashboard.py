"""optuna-dashboard over every sweep of a storage, behind a door that only lets one look.

The dashboard has neither users nor a read-only mode, and renaming a study there copies it and deletes the old one,
under the feet of its agents. So it listens on this machine only and answers nothing but GET and HEAD, unless told
otherwise.
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
        artifacts_dir: folder of the images that lie as files; None: the one beside an SQLite file.
        host: address to listen on.
        port: port to listen on; 0: any free one.
        allow_edit: let the browser change and delete studies.
        ready: is called with the URL once the server answers.

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

    def door(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(REASON)))])
        return [REASON]

    return door


def listen(app: WSGIApplication, host: str, port: int) -> Server:
    """A server that is bound and about to serve ``app``. Raises UserError if the address cannot be had."""
    try:
        server = Server((host, port), Handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"cannot listen on {host} port {port}: {reason}; choose another --port") from error
    server.set_app(app)
    return server


class Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for every request: one slow page must not hold up the images of the others."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, handler)

    @property
    def url(self) -> str:
        """Where it answers."""
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"http://{host}:{self.server_port}/dashboard/"

    def server_bind(self) -> None:
        """Bind without asking the name service who we are, which may take its time on a machine without network."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that closes a connection early is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(WSGIRequestHandler):
    """Requests are not printed."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
