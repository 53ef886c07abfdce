"""A table of methods, networks or datasets by name; ddsweep and plugins add rows to it in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from ddsweep.errors import UserError, closest, near
from ddsweep.plugins import code as codes
from ddsweep.plugins import loading
from ddsweep.plugins.code import Code, Origin, Source

Row = TypeVar("Row")
RESERVED = frozenset("+@:, ")  # separators between names in a recipe and on the command line


class Registry(Mapping[str, Row], Generic[Row]):
    """The parts of one kind. Looking up an unknown name, or listing all names, loads the plugins.

    The order is ddsweep's own parts as they are registered, then plugins' parts by name. It does not depend on which
    plugin was loaded first, because the spelling of a set of networks follows it.

    Args:
        kind: the name of a part in errors, such as ``method``.
        reserved: names that stand for something else where a recipe names a part.
        has_options: whether recipes have options for these parts, which may name files.

    Attributes:
        rows: the parts registered so far, without those of plugins that are not loaded yet.
    """

    def __init__(self, kind: str, *, reserved: Iterable[str] = (), has_options: bool = False) -> None:
        self.kind = kind
        self._reserved = frozenset(reserved)
        self._has_options = has_options
        self.rows: dict[str, Row] = {}
        self._origin: dict[str, Origin | None] = {}
        self._source: dict[str, str] = {}

    def add(self, name: str, row: Row, source: Source, files: Iterable[str] = ()) -> None:
        """Register a part.

        Args:
            name: the name in a recipe.
            row: the properties of the part.
            source: the function or class of the part; the same source may register again (a reloaded module).
            files: the files that the part reads, relative to its source file, and ``option:NAME`` for an option whose
                value is a file.

        Raises:
            UserError: the name is invalid, or another part has it.
        """
        if not name or RESERVED & set(name) or not name.isprintable():
            raise UserError(f"plugins: {self.kind} {name!r}: invalid name; spaces and + @ : , are not allowed")
        if name in self._reserved:
            raise UserError(f"plugins: {self.kind} {name!r}: stands for something else in recipes; choose another name")
        source_name = codes.name_of(source)
        try:
            origin = codes.origin(source, files, getattr(row, "options", ()) if self._has_options else ())
        except UserError as error:
            raise UserError(f"plugins: {self.kind} {name!r}: {str(error).removeprefix('plugins: ')}") from error
        if name in self.rows and (self._source[name], self._origin[name]) != (source_name, origin):
            self._refuse(name, source_name, origin)
        self.rows[name], self._origin[name], self._source[name] = row, origin, source_name
        if origin is not None:
            codes.register(self.kind, name, origin)

    def _refuse(self, name: str, source: str, origin: Origin | None) -> None:
        """Raise the error for a name that another part has; the same module may register a part anew (a reload)."""
        other = self._origin[name]
        if other is None:
            raise UserError(f"plugins: {source}: {self.kind} {name!r} is ddsweep's own; choose another name")
        registering = origin.modules[0] if origin else ""
        again = origin is not None and (origin.run > other.run or origin.source is not None)
        reloaded = again and registering == other.modules[0]
        if not reloaded and (registering, source) != (other.modules[0], self._source[name]):
            there = codes.code(other).path
            raise UserError(
                f"plugins: {source}: {self.kind} {name!r} is already registered by {other.plugin} ({there}); "
                "choose another name"
            )

    def __getitem__(self, name: str) -> Row:
        if name not in self.rows:
            loading.load()
        return self.rows[name]

    def __contains__(self, name: object) -> bool:
        if name not in self.rows:
            loading.load()
        return name in self.rows

    def __iter__(self) -> Iterator[str]:
        loading.load()
        return iter(sorted(self.rows, key=self.place))

    def __len__(self) -> int:
        loading.load()
        return len(self.rows)

    def take(self, name: str, field: str = "", also: Sequence[str] = ()) -> Row:
        """The row of ``name``.

        Args:
            name: the name of the part.
            field: the recipe field that contains the name, for the error.
            also: other values that the field accepts, for the error.

        Raises:
            UserError: the name is unknown; the line lists the known names.
        """
        if name in self:
            return self.rows[name]
        known = [*self, *also]
        hint = "" if near(name, known) else f"; if it is a plugin's, add its file to ${loading.VARIABLE}"
        raise UserError(f"{field}{': ' * bool(field)}unknown {self.kind} {name!r}; {closest(name, known)}{hint}")

    def place(self, name: str) -> tuple[int, str]:
        """The sort key of a name; plugins' and unknown names come after ddsweep's own."""
        own = [known for known, origin in self._origin.items() if origin is None]
        return (own.index(name), "") if name in own else (len(own), name)

    def code(self, name: str) -> Code | None:
        """The plugin that a part comes from; None for ddsweep's own and unknown parts."""
        origin = self._origin.get(name)
        return None if origin is None else codes.code(origin)

    def origin(self, name: str) -> Origin | None:
        """Where a part of a plugin comes from; None for ddsweep's own and unknown parts."""
        return self._origin.get(name)

    def codes(self) -> dict[str, Code]:
        """The plugin of each part that plugins have registered so far."""
        return {name: codes.code(origin) for name, origin in self._origin.items() if origin is not None}
