"""A table of parts by name, to which ddsweep and plugins add rows in the same way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from ddsweep.errors import UserError, closest
from ddsweep.plugins import code as codes
from ddsweep.plugins import loading
from ddsweep.plugins.code import Code, Source

Row = TypeVar("Row")
RESERVED = frozenset("+@:, ")  # what joins names in a recipe and on a command line


class Registry(Mapping[str, Row], Generic[Row]):
    """The parts of one kind. Asking for a name that is not here, or for all of them, loads the plugins.

    The order is that in which ddsweep registers its own, then plugins' by name: it never depends on which plugin was
    found first, because sets of networks are spelled in it.

    Args:
        kind: what the parts are called in an error line.

    Attributes:
        rows: what is registered so far; plugins that nobody needed yet are left out.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.rows: dict[str, Row] = {}
        self._code: dict[str, Code | None] = {}
        self._source: dict[str, str] = {}

    def add(self, name: str, row: Row, source: Source) -> None:
        """Register a part.

        Args:
            name: as a recipe writes it.
            row: what is known of it.
            source: what makes it. The same one may register again (a module that is reloaded).

        Raises:
            UserError: the name cannot be one, or somebody else's part has it.
        """
        if not name or RESERVED & set(name) or not name.isprintable():
            raise UserError(f"plugins: {self.kind} {name!r}: a name has no space and none of + @ : ,")
        spelled = codes.name_of(source)
        if name in self.rows and self._source[name] != spelled:
            owner = self._code[name]
            whose = f"that of {owner.name}" if owner else "ddsweep's own"
            raise UserError(f"plugins: the {self.kind} {name!r} of {spelled} is {whose} already; choose another name")
        code = codes.of(source)
        self.rows[name], self._code[name], self._source[name] = row, code, spelled

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
            name: the part.
            field: of the recipe that names it, for the error line.
            also: what else may stand there.

        Raises:
            UserError: there is none; the line names those there are.
        """
        if name in self:
            return self.rows[name]
        raise UserError(f"{field}{': ' * bool(field)}unknown {self.kind} {name!r}; {closest(name, [*self, *also])}")

    def place(self, name: str) -> tuple[int, str]:
        """Where a name stands in the order; one that is not here stands last."""
        own = [one for one, code in self._code.items() if code is None]
        return (own.index(name), "") if name in own else (len(own), name)

    def code(self, name: str) -> Code | None:
        """The plugin that a part comes from; None: ddsweep's own, or no such part."""
        return self._code.get(name)

    def codes(self) -> dict[str, Code]:
        """The plugins' parts that are registered so far, each with the plugin that it comes from."""
        return {name: code for name, code in self._code.items() if code is not None}
