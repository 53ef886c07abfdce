"""Two hosts and a database server on one machine: network namespaces on a bridge, and links that can be cut."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HOSTS = ("red", "blue")
SERVER = "10.213.7.1"
PASSWORD = "correct horse battery staple"
SUDO = [] if os.geteuid() == 0 else ["sudo", "-n"]


@dataclass
class Host:
    """A host with a home, a runs folder and a cache of its own; what it shares with the other is the database.

    Attributes:
        name: what ``hostname`` says there.
        space: its network namespace.
        home: its files.
        plug: the server's end of its cable.
    """

    name: str
    space: str
    home: Path
    plug: str

    def start(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Start ``ddsweep WORDS`` there."""
        with log.open("wb") as file:
            return subprocess.Popen(self._command(*words), cwd=self.home, stdout=file, stderr=subprocess.STDOUT)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``ddsweep WORDS`` there, to its end."""
        return subprocess.run(self._command(*words), cwd=self.home, capture_output=True, text=True, check=False)

    def _command(self, *words: str) -> list[str]:
        settings = {
            "HOME": self.home, "PATH": os.environ["PATH"], "DDSWEEP_CACHE": self.home / "cache",
            "DDSWEEP_STORAGE": f"postgresql://ddsweep@{SERVER}/ddsweep", "DDSWEEP_LEASE": "1,6",
            "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "NO_COLOR": "1",
        }  # fmt: skip
        environment = ["env", "-i", *(f"{name}={value}" for name, value in settings.items())]
        named = ["unshare", "--uts", "sh", "-c", 'hostname "$0"; exec "$@"', self.name]
        user = [] if not SUDO else ["sudo", "-n", "-u", getpass.getuser()]
        return [*inside(self.space), *named, *user, *environment, sys.executable, "-m", "ddsweep", *words]


class Lab:
    """The two hosts, the server, and the switch between them."""

    def __init__(self, folder: Path) -> None:
        self._tag = f"dd{os.getpid() % 100_000}"
        self._server = f"{self._tag}-server"
        self.sockets = Path(tempfile.mkdtemp(prefix="ddsweep-lab-"))  # pytest's folders are closed to the user postgres
        self.hosts = {
            name: Host(name, f"{self._tag}-{name}", folder / name, f"{self._tag}-{number}")
            for number, name in enumerate(HOSTS)
        }

    @property
    def url(self) -> str:
        """The database as this process reaches it: through a socket in a folder, which no network can cut."""
        return f"postgresql://ddsweep:{PASSWORD.replace(' ', '%20')}@/ddsweep?host={self.sockets}"

    def cut(self, host: Host) -> None:
        """Whatever ``host`` sends or is sent vanishes, without a word to either end."""
        _ip("-n", self._server, "link", "set", host.plug, "nomaster")

    def heal(self, host: Host) -> None:
        """Undo ``cut``."""
        _ip("-n", self._server, "link", "set", host.plug, "master", "switch")

    def connect(self) -> None:
        """Lay the cables."""
        _ip("netns", "add", self._server)
        server = ("-n", self._server)
        _ip(*server, "link", "add", "switch", "type", "bridge")
        _ip(*server, "address", "add", f"{SERVER}/24", "dev", "switch")
        _ip(*server, "link", "set", "switch", "up")
        for number, host in enumerate(self.hosts.values(), start=2):
            host.home.mkdir()
            pgpass = host.home / ".pgpass"
            pgpass.write_text(f"{SERVER}:5432:ddsweep:ddsweep:{PASSWORD}\n")
            pgpass.chmod(0o600)
            _ip("netns", "add", host.space)
            _ip(*server, "link", "add", host.plug, "type", "veth", "peer", "name", "eth0", "netns", host.space)
            _ip(*server, "link", "set", host.plug, "master", "switch", "up")
            address = SERVER.rpartition(".")[0]
            _ip("-n", host.space, "address", "add", f"{address}.{number}/24", "dev", "eth0")
            _ip("-n", host.space, "link", "set", "eth0", "up")

    def serve(self) -> None:
        """Start PostgreSQL in the server's namespace, as `docs/clusters.md` says."""
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
        if not programs:
            pytest.fail("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin); on Debian: apt install postgresql")
        if os.geteuid() == 0:
            shutil.chown(self.sockets, "postgres")
        self._control, self._data = programs[-1], self.sockets / "data"
        self._postgres("initdb", "-o", "-A trust -U postgres -E UTF8 --no-locale -N")
        access = f"local all all trust\nhost ddsweep ddsweep {SERVER}/24 scram-sha-256\n"
        subprocess.run([*_as_postgres(), "tee", self._data / "pg_hba.conf"], input=access.encode(), check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        options = f"-c listen_addresses={SERVER} -c unix_socket_directories={self.sockets} -c fsync=off"
        self._postgres("start", "-w", "-l", self.sockets / "log", "-o", options)
        self._sql(f"CREATE ROLE ddsweep LOGIN PASSWORD '{PASSWORD}'")
        self._sql("CREATE DATABASE ddsweep OWNER ddsweep")

    def _sql(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(host=str(self.sockets), user="postgres", dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _postgres(self, action: str, *words: str | Path) -> None:
        command = [*inside(self._server), *_as_postgres(), self._control, action, "-D", self._data, *words]
        done = subprocess.run(
            [str(word) for word in command], cwd=self.sockets, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE if action == "initdb" else subprocess.DEVNULL, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"pg_ctl {action}: {done.stdout}"

    def close(self) -> None:
        """Stop the server and take everything down, as far as it was put up."""
        with contextlib.suppress(AssertionError, AttributeError):
            self._postgres("stop", "-m", "immediate")
        for space in (self._server, *(host.space for host in self.hosts.values())):
            subprocess.run([*SUDO, "ip", "netns", "delete", space], capture_output=True, check=False)
        shutil.rmtree(self.sockets, ignore_errors=True)


@contextlib.contextmanager
def lab(folder: Path) -> Iterator[Lab]:
    """Everything running; taken down at the end."""
    one = Lab(folder)
    try:
        one.connect()
        one.serve()
        yield one
    finally:
        one.close()


def inside(space: str) -> list[str]:
    """The words that run a command in a namespace."""
    return [*SUDO, "ip", "netns", "exec", space]


def _as_postgres() -> list[str]:
    if os.geteuid() == 0:
        return ["runuser", "-u", "postgres", "--"]  # initdb refuses root
    return ["sudo", "-n", "-u", getpass.getuser()]


def _ip(*words: str) -> None:
    try:
        done = subprocess.run([*SUDO, "ip", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.fail(f"this test needs {error.filename} (Debian packages iproute2 and sudo)")
    if done.returncode:
        pytest.fail(
            "this test needs network namespaces, so root or sudo without a password; "
            f"`ip {' '.join(words)}` said: {done.stderr.strip()}"
        )
