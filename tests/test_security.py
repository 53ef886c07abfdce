"""What must never happen: a password in any output, code run from a file, a byte written outside, an open door."""

from __future__ import annotations

import ast
import inspect
import io
import logging
import os
import subprocess
import sys
import tarfile
import traceback
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ddsweep.backends import connect
from ddsweep.backends.optuna import dashboard
from ddsweep.cli import app
from ddsweep.data import bundle
from ddsweep.errors import UserError

PACKAGE = Path(__file__).parent.parent / "ddsweep"
SECRET = "hunter2"
# the ways in which a password gets into a URL, right ones and wrong ones; nobody listens on port 9
STORAGES = [
    f"postgresql://me:{SECRET}@127.0.0.1:9/sweeps",
    f"postgresql+psycopg://me:{SECRET}@127.0.0.1:9/sweeps",
    f"postgres://me:{SECRET}%40%2F@127.0.0.1:9/sweeps",
    f"postgresql://me@127.0.0.1:9/sweeps?password={SECRET}",
    f"postgresql://me@127.0.0.1:9/sweeps?sslpassword={SECRET}&passfile={SECRET}",
    f"postgresql://me@127.0.0.1:9/sweeps?password={SECRET}&password={SECRET}",
    f"postgresql://me:{SECRET}@no.such.host.invalid/sweeps",
    f"postgresql://me:{SECRET}@127.0.0.1:9/sweeps?pasword={SECRET}x",
    f"postgresql://me:{SECRET}@127.0.0.1:port/sweeps",
    f"postgresql://me:12/{SECRET}@127.0.0.1:9/sweeps",
    f"postgresql://me:{SECRET}@here@127.0.0.1:9/sweeps",
    f"postgresql://me:{SECRET}@[::1/sweeps",
    f"postgresql:/me:{SECRET}@127.0.0.1/sweeps",
    f"me:{SECRET}@127.0.0.1/sweeps",
    f"mysql://me:{SECRET}@127.0.0.1/sweeps",
    f"sqlite:///sweeps.db?password={SECRET}",
    f"://me:{SECRET}@127.0.0.1/sweeps",
]


def commands() -> Iterator[str]:
    """Every command that opens a storage; that of the doctor, who looks at much else, is tested with these URLs too."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    for name, command in group.commands.items():
        if name != "doctor" and any(one.name == "storage" for one in command.params):
            yield name


def words(command: str) -> list[str]:
    """The shortest way to call it, so that it needs the storage."""
    if command in ("dashboard", "status"):
        return [command]
    return [command, "ablation-alpha@demo" if command == "launch" else "mine@demo"]  # of which there is no file


def written(folder: Path) -> str:
    """Everything in the files and in the names of a folder."""
    found = list(folder.rglob("*"))
    return "\n".join([*map(str, found), *(path.read_bytes().decode("latin-1") for path in found if path.is_file())])


def test_every_command_with_a_storage_is_tried() -> None:
    assert {"launch", "agent", "status", "results", "dashboard"} <= set(commands())


@pytest.mark.parametrize("storage", STORAGES)
def test_no_command_tells_the_password(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DDSWEEP_STORAGE", storage)
    for command in commands():
        with caplog.at_level(logging.DEBUG):
            result = CliRunner().invoke(app, words(command))
        assert result.exit_code == 2, f"{command}: {result.output}{result.exception!r}"
        assert result.stderr.startswith("error: "), command
        assert result.stderr.count("\n") == 1, command
        assert SECRET not in result.output + caplog.text + written(tmp_path), command


@pytest.mark.parametrize("storage", STORAGES)
def test_no_exception_carries_the_password(storage: str) -> None:
    with pytest.raises(UserError) as caught:
        connect(storage)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


def test_no_process_shows_it() -> None:
    """Agents get the storage through the environment, which only their owner can read."""
    from ddsweep.launchers import Job

    job = Job("ablation-alpha@demo", Path("runs"), STORAGES[0], 1)
    assert not any(SECRET in word for word in job.command())
    assert SECRET not in repr(job)


def test_a_crash_shows_no_local_variables() -> None:
    """A traceback of Typer's pretty kind would print the storage among them."""
    assert app.pretty_exceptions_show_locals is False
    code = "from ddsweep.cli import app; import ddsweep.launches as s; s.reading = lambda *a, **k: 1 / 0; app()"
    environment = os.environ | {"DDSWEEP_STORAGE": STORAGES[0]}
    done = subprocess.run(
        [sys.executable, "-c", code, "status"], capture_output=True, text=True, env=environment, check=False
    )
    assert "ZeroDivisionError" in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_nothing_listens_beyond_this_machine_unless_asked() -> None:
    assert inspect.signature(dashboard.serve).parameters["host"].default == "127.0.0.1"
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            anywhere = isinstance(node, ast.Constant) and node.value in ("0.0.0.0", "::")
            assert not anywhere, f"{path}:{node.lineno}: listens everywhere"  # type: ignore[attr-defined]


NEVER = {
    "eval", "exec", "compile", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "torch.jit.load", "torch.hub.load", "marshal.load", "marshal.loads", "shelve.open", "joblib.load",
    "pandas.read_pickle", "tarfile.TarFile.extractall", "shutil.unpack_archive",
}  # fmt: skip
NEVER_METHODS = ("extract", "extractall")  # of archives: nothing is ever unpacked to disk
SAFE = {"torch.load": ("weights_only", True), "np.load": ("allow_pickle", False), "numpy.load": ("allow_pickle", False)}
UNPICKLERS = {"data/unpickle.py"}  # one, which builds numeric arrays and nothing else


def dangers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Calls that run what a file says, or write where it says."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) == "pickle.Unpickler":
            yield node.lineno, "pickle.Unpickler"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        options = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
        if name in NEVER or name.rpartition(".")[2] in NEVER_METHODS or options.get("shell"):
            yield node.lineno, name
        if name in SAFE and options.get(SAFE[name][0]) is not SAFE[name][1]:
            yield node.lineno, f"{name} without {SAFE[name][0]}={SAFE[name][1]}"
        if name in ("yaml.Loader", "yaml.FullLoader", "yaml.UnsafeLoader"):
            yield node.lineno, name


def test_no_file_is_believed() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        found = list(dangers(ast.parse(path.read_text(encoding="utf-8"))))
        if str(path.relative_to(PACKAGE)) in UNPICKLERS:
            assert [what for _, what in found] == ["pickle.Unpickler"]
        else:
            assert not found, f"{path}: {found}"


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)", "np.load(path, allow_pickle=True)",
        "pickle.loads(b'')", "class Mine(pickle.Unpickler): pass", "yaml.load(text)", "eval(text)", "yaml.Loader(text)",
        "tar.extractall(path)",        "subprocess.run(text, shell=True)", "packed.extract(name)",
    ],
)  # fmt: skip
def test_the_check_would_notice(code: str) -> None:
    assert list(dangers(ast.parse(code)))


def tar_of_horrors(path: Path, outside: Path) -> None:
    def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
        one = tarfile.TarInfo(name)
        one.type, one.linkname, one.size = kind, link, 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(one, io.BytesIO(b"evil") if one.size else None)

    with tarfile.open(path, "w") as tar:
        member("good/a.png")
        member("../above.png")
        member(str(outside / "absolute.png"))
        member("good/link.png", tarfile.SYMTYPE, str(outside / "target"))
        member("good/hard.png", tarfile.LNKTYPE, "../../target")
        member("good/device.png", tarfile.CHRTYPE)
        member("good/block.png", tarfile.BLKTYPE)
        member("good/pipe.png", tarfile.FIFOTYPE)
        member("good/link", tarfile.SYMTYPE, str(outside))
        member("good/link/through.png")


def zip_of_horrors(path: Path, outside: Path) -> None:
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("good/a.png", "../above.png", str(outside / "absolute.png")):
            packed.writestr(name, "evil")


@pytest.mark.parametrize("make", [tar_of_horrors, zip_of_horrors])
def test_an_archive_is_read_and_never_unpacked(make: Callable[[Path, Path], None], tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "target").write_text("not in the archive")
    make(inside / "archive", outside)
    before = sorted(tmp_path.rglob("*"))
    with bundle.opened(inside / "archive") as archive:
        assert {archive.open(name).read() for name in archive.names} == {b"evil"}, "what is linked to is not read"
        assert not {"good/link.png", "good/hard.png", "good/device.png", "good/pipe.png"} & set(archive.names)
        assert archive.find("a.png") == "good/a.png"
    assert sorted(tmp_path.rglob("*")) == before
