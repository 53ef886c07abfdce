"""The interface of the stand-in for tests."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.standin import artifacts, runs
from tests.standin.server import Handler, Server
from tests.standin.state import Artifact, Run, State
from tests.standin.sweeps import Sweep

KEY = "0123456789abcdef" * 2 + "deadbeef"


class Standin:
    """The server as a context manager. It can be closed and reopened on the same port with its state.

    Args:
        port: the port; 0 for any free port.
        crashes_after: seconds without a heartbeat after which a run counts as crashed; None for never.
        verbose: print every operation.
    """

    def __init__(self, port: int = 0, crashes_after: float | None = None, verbose: bool = False) -> None:
        self.state = State(Path(tempfile.mkdtemp(prefix="ddsweep-standin-")), KEY, crashes_after)
        self._port, self._verbose = port, verbose
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        shutil.rmtree(self.state.folder, ignore_errors=True)

    def open(self) -> None:
        """Start listening; a server that is reopened keeps its port."""
        handler = type("Bound", (Handler,), {"state": self.state, "verbose": self._verbose})
        self._server = Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop the server: refuse new connections and cut open ones."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, home: Path | str) -> dict[str, str]:
        """Environment variables that make wandb clients use this server and keep their files in ``home``."""
        home = Path(home)
        home.mkdir(parents=True, exist_ok=True)
        return {
            "WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.state.key, "WANDB_MODE": "online",
            "WANDB_CONSOLE": "off", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false",
            "WANDB_X_DISABLE_STATS": "true", "WANDB_DIR": str(home), "WANDB_CONFIG_DIR": str(home / "config"),
            "WANDB_CACHE_DIR": str(home / "cache"), "WANDB_DATA_DIR": str(home / "data"),
            "WANDB_ARTIFACT_DIR": str(home / "artifacts"), "NETRC": str(home / "netrc"), "HOME": str(home),
            "no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1",
        }  # fmt: skip

    def fail(self, operation: str, status: int, times: int = 1) -> None:
        """Answer the next ``times`` requests of an operation, or of ``file_stream``, with the HTTP status."""
        self.state.failures.setdefault(operation, []).extend([status] * times)

    def mend(self) -> None:
        """Remove all injected errors."""
        self.state.failures.clear()

    def reject_key(self) -> None:
        """Reject the API key of environments that ``environment`` returned before this call."""
        self.state.key = "f" * 40

    @property
    def runs(self) -> dict[str, Run]:
        return self.state.runs

    @property
    def sweeps(self) -> dict[str, Sweep]:
        return self.state.sweeps

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """Committed artifacts by ``COLLECTION:vN``."""
        return {one.name: one for one in self.state.artifacts.values() if one.state == "COMMITTED"}

    @property
    def operations(self) -> Counter[str]:
        return self.state.operations

    @property
    def unhandled(self) -> list[str]:
        """Unknown operations; tests assert that there are none, so that operations of a new client cause a failure."""
        return self.state.unhandled

    def config(self, run: str) -> dict[str, Any]:
        return self.state.runs[run].values

    def history(self, run: str) -> list[dict[str, Any]]:
        return self.state.runs[run].history

    def summary(self, run: str) -> dict[str, Any]:
        return self.state.runs[run].summary

    def files(self, run: str) -> dict[str, Path]:
        """Uploaded files of a run: name → path in the stand-in's folder."""
        one = self.state.runs[run]
        folder = self.state.folder / runs.storage(one)
        return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def artifact_files(self, name: str) -> dict[str, Path]:
        """Uploaded files of an artifact: name in the artifact → path in the stand-in's folder."""
        return {file: self.state.folder / path for file, path in self.artifacts[name].files.items()}

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest of an artifact; its entries with a ``ref`` are references."""
        return json.loads((self.state.folder / artifacts.manifest_path(self.artifacts[name].id)).read_text())
