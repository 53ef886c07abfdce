"""The stand-in as tests hold it in their hands."""

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
    """The server, as a context manager; it may be closed and opened again on the same port with all it knew.

    Args:
        port: 0 for any.
        crashes_after: seconds of silence after which a run counts as crashed; None: never.
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
        """Listen: the first time on any port, later on the same."""
        handler = type("Bound", (Handler,), {"state": self.state, "verbose": self._verbose})
        self._server = Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Go away: connections are refused and open ones cut."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self, home: Path | str) -> dict[str, str]:
        """Environment variables with which any wandb client talks to this server and keeps its files in ``home``."""
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
        """Answer the next ``times`` requests of an operation with ``status``; ``file_stream`` is one too."""
        self.state.failures.setdefault(operation, []).extend([status] * times)

    def mend(self) -> None:
        """No more injected errors."""
        self.state.failures.clear()

    def reject_key(self) -> None:
        """From now on the key that ``environment`` gives is unknown."""
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
        """Operations that it did not know: assert that there are none, so that a new client shows as a failure."""
        return self.state.unhandled

    def config(self, run: str) -> dict[str, Any]:
        return self.state.runs[run].values

    def history(self, run: str) -> list[dict[str, Any]]:
        return self.state.runs[run].history

    def summary(self, run: str) -> dict[str, Any]:
        return self.state.runs[run].summary

    def files(self, run: str) -> dict[str, Path]:
        """Uploaded files of a run: name → where the stand-in keeps it."""
        one = self.state.runs[run]
        folder = self.state.folder / runs.storage(one)
        return {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}

    def artifact_files(self, name: str) -> dict[str, Path]:
        """Uploaded files of an artifact: name in the artifact → where the stand-in keeps it."""
        return {file: self.state.folder / path for file, path in self.artifacts[name].files.items()}

    def manifest(self, name: str) -> dict[str, Any]:
        """The manifest of an artifact; references are its entries with a ``ref``."""
        return json.loads((self.state.folder / artifacts.manifest_path(self.artifacts[name].id)).read_text())
