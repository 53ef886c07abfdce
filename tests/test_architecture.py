"""The house rules that a reader cannot see in any one file: which way imports run, and what stays out of where."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "ddsweep"

# Arrows point down only, and never sideways between two rooms of one floor.
FLOORS = {
    "errors": 0, "again": 1, "characters": 0, "markup": 1, "fonts": 1,
    "files": 1, "tensor_files": 0, "text": 0, "percent": 0, "grids": 1, "settings": 1, "rng": 1,
    "cuda_driver": 0, "device": 1, "environment": 0, "precision": 1, "provenance": 1, "processes": 1, "plugins": 1,
    "registry": 2, "nn": 3, "numerics": 3, "data": 3, "distill.synthetic": 4, "augment": 3, "pictures": 3,
    "checkpoints": 3, "checked_files": 2, "results.run_files": 3, "clock": 3,
    "recipe": 4, "shared": 4,
    "sweep": 5, "distill": 5, "evaluate": 5, "pretrained": 5, "pretrained.experts": 7, "results.result": 5,
    "results": 6, "trackers": 6,
    "sets": 6, "prerequisites": 7, "plugin_checks": 8, "debugging": 9,
    "backends": 8, "exchange": 8, "flops": 6, "trial": 8, "overview": 8, "pruning": 6,
    "agent": 9, "report": 9, "estimate": 9, "testing": 9,
    "launches": 9, "judging": 9, "api": 11, "launchers": 10, "housekeeping": 8,
    "doctor": 11,
    "cli": 12,
}  # fmt: skip
CONTROL = (
    "cli", "report", "sweep", "recipe", "backends", "launchers", "agent", "overview", "trackers", "errors", "files",
    "plugins", "registry",
)  # fmt: skip
DATA = (
    "distill",
    "evaluate",
    "exchange",
    "pruning",
    "pretrained",
    "nn",
    "data",
    "augment",
    "prerequisites",
    "trial",
    "rng",
    "shared",
    "numerics",
    "pictures",
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    """The longest name in FLOORS that contains the module; ``ddsweep`` itself is above everything."""
    inner = module.removeprefix("ddsweep").lstrip(".")
    parts = inner.split(".")
    for length in range(len(parts), 0, -1):
        if ".".join(parts[:length]) in FLOORS:
            return ".".join(parts[:length])
    return parts[0]


def imports(path: Path, module_level: bool = False) -> list[tuple[int, str]]:
    """(line, imported module) of a file, without what stands under TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        child
        for node in ast.walk(tree)
        if (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
        or (module_level and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if node in hidden:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def name_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE.parent).with_suffix("")
    return ".".join(part for part in relative.parts if part != "__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    own = room(name_of(path))
    if own in ("", "__main__"):
        return
    assert own in FLOORS, f"{path}: {own} has no floor; add it to FLOORS"
    for line, module in imports(path):
        if not module.startswith("ddsweep."):
            continue
        other = room(module)
        if other == own or other == "__version__" or own.startswith(f"{other}.") or other.startswith(f"{own}."):
            continue
        assert FLOORS[other] < FLOORS[own], f"{path}:{line}: {own} (floor {FLOORS[own]}) imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_each_plane_keeps_to_itself(path: Path) -> None:
    own = room(name_of(path)).split(".")[0]
    for line, module in imports(path):
        library = module.split(".")[0]
        if own in DATA:
            assert library not in ("typer", "optuna", "wandb", "optuna_dashboard"), f"{path}:{line}: imports {library}"
    for line, module in imports(path, module_level=True):
        library = module.split(".")[0]
        if own in CONTROL:
            assert library not in ("torch", "torchvision", "sklearn"), (
                f"{path}:{line}: imports {library} at module level"
            )


def test_the_command_line_starts_light() -> None:
    heavy = {
        "torch",
        "torchvision",
        "optuna",
        "wandb",
        "sklearn",
        "pandas",
        "sqlalchemy",
        "PIL",
        "numpy",
        "plotly",
        "matplotlib",
    }
    code = f"import sys, ddsweep.cli, ddsweep.sweep; print(sorted({heavy!r} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_recipe_is_named_only_at_the_door() -> None:
    allowed = {
        "recipe",
        "sweep",
        "trial",
        "prerequisites",
        "flops",
        "overview",
        "plugin_checks",
        "debugging",
        "housekeeping",
        "estimate",
        "agent",
        "trackers",
        "results",
        "results.result",
        "backends",
        "testing",
        "api",
    }
    for path in MODULES:
        own = room(name_of(path))
        if own in allowed or path.name == "loop.py" or path == PACKAGE / "pretrained" / "spec.py":
            continue
        names = [module for _, module in imports(path)]
        assert "ddsweep.recipe.Recipe" not in names, f"{path}: takes a Recipe; below the door it is tensors and numbers"


PRINTING = (
    "Console", "RichConsole", "Progress", "SpinnerColumn", "Text.from_markup",
    "typer.echo", "typer.secho", "click.echo",
)  # fmt: skip
SCREENS = ("cli.console", "cli.screen")  # the modules that print for all others


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_names_are_never_markup_on_a_screen(path: Path) -> None:
    """Commands print through ``cli.console`` and ``cli.screen``, which read no markup and show controls.

    Rich reads ``[/data]`` as a tag wherever a console, a column of a progress bar or a status is made without further
    ado; a plain ``print`` sends terminal escapes of a name to the terminal. Other modules may print what they have
    passed through ``characters``.
    """
    module = name_of(path).removeprefix("ddsweep.")
    if module in SCREENS:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        place, text = f"{path}:{node.lineno}", ast.unparse(node)
        markup = [keyword.value for keyword in node.keywords if keyword.arg == "markup"]
        assert all(ast.unparse(value) == "False" for value in markup), f"{place}: {text} reads markup"
        if called == "TextColumn":
            assert markup, f"{place}: {text} reads markup"
        elif isinstance(node.func, ast.Name) and called == "print":
            harmless = "characters." in text or "json.dumps" in text
            assert harmless, f"{place}: {text}: print through cli.console, or characters.one_line"
        elif called in ("status", "update") and module.startswith("cli.") and node.args:
            spoken = isinstance(node.args[0], ast.JoinedStr)
            assert not spoken, f"{place}: {text}: a status reads markup in a str; pass a rich.text.Text"
        else:
            assert ast.unparse(node.func) not in PRINTING, f"{place}: {text}: use cli.console and cli.screen"
