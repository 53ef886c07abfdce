"""Conditions on the choices of a cell as people write them: ``alpha == 0 and n_models > 1``.

They look like Python and are never run as Python: the text is parsed to a tree, a tree with anything in it but
comparisons of fields, numbers and texts is refused, and what is left is walked. So a sweep file, or a line of a shell,
cannot run code, whoever wrote it.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ddsweep.errors import UserError, closest

LONGEST, DEEPEST = 1000, 30  # characters, and levels of nesting
GRAMMAR = "fields, numbers, texts, true or false, compared by == != < <= > >= in, not in, joined by and, or, not"
ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
MEMBERSHIP = (ast.In, ast.NotIn)
LISTS = (ast.List, ast.Tuple, ast.Set)


@dataclass(frozen=True)
class Expression:
    """A condition that was found harmless.

    Attributes:
        text: as it was written.
        tree: what it says.
        fields: the fields that it speaks of.
    """

    text: str
    tree: ast.expr
    fields: frozenset[str]

    @classmethod
    def parse(cls, text: str, names: Iterable[str]) -> Expression:
        """Understand ``text`` as a condition on the fields ``names``.

        Raises:
            UserError: it is no such condition; the line names the part that is not, and what is allowed.
        """
        if len(text) > LONGEST:
            raise UserError(f"{text[:40]!r}…: is longer than {LONGEST} characters")
        try:
            with warnings.catch_warnings(action="ignore"):  # about an odd escape in a text
                tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            rest = text.strip()[max(0, (error.offset or 1) - 1) :]
            raise UserError(f"{text!r}: cannot be read from {rest or 'its end'!r} on; write {GRAMMAR}") from None
        except (ValueError, MemoryError, RecursionError):  # a zero byte; nesting that the parser gives up on
            raise UserError(f"{text!r}: cannot be read; write {GRAMMAR}") from None
        check = _Check(text.strip(), frozenset(names))
        check.visit(tree, DEEPEST)
        fields = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        return cls(text, tree, fields)

    def holds(self, choices: Mapping[str, Any]) -> bool:
        """Whether it is true of ``choices``, which has every one of ``fields``.

        A field that is None is unequal to everything, and neither less nor more than anything.

        Raises:
            UserError: a text is compared with a number, or a number is taken for true or false.
        """
        return _Walk(self.text.strip(), choices).truth(self.tree)


@dataclass(frozen=True)
class _Check:
    """Refuses whatever is not in the grammar."""

    text: str
    names: frozenset[str]

    def visit(self, node: ast.expr, depth: int) -> None:
        if depth == 0:
            raise UserError(f"{self.text!r}: is nested more than {DEEPEST} levels deep")
        match node:
            case ast.BoolOp(values=parts):
                inner = parts
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
                inner = [part]
            case ast.Compare(left=left, ops=ops, comparators=right):
                inner = [left, *right[:-1], *self._last(ops, right)]
            case ast.Name(id=name):
                if name not in self.names:
                    raise UserError(f"{self.text!r}: unknown field {name!r}; {closest(name, self.names)}")
                return
            case ast.Constant(value=bool() | int() | float() | str()):
                return
            case _:
                self._refuse(node)
        for part in inner:
            self.visit(part, depth - 1)

    def _last(self, ops: list[ast.cmpop], right: list[ast.expr]) -> list[ast.expr]:
        """What stands last in a comparison, part by part: after ``in`` a list of plain values, else one expression."""
        node, member = right[-1], isinstance(ops[-1], MEMBERSHIP)
        if not all(type(op) in ORDER for op in (ops[:-1] if member else ops)):
            self._refuse(node)
        if not member:
            return [node]
        if not isinstance(node, LISTS):
            raise UserError(f"{self.text!r}: {self._part(node)!r} is no list; write in [a, b]")
        for one in node.elts:
            if not isinstance(one.operand if isinstance(one, ast.UnaryOp) else one, ast.Constant):
                self._refuse(one)
        return node.elts

    def _refuse(self, node: ast.expr) -> NoReturn:
        raise UserError(f"{self.text!r}: {self._part(node)!r} is not allowed here; write {GRAMMAR}")

    def _part(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or self.text


@dataclass(frozen=True)
class _Walk:
    """Finds out what a tree, which ``_Check`` has seen, says about one cell."""

    text: str
    choices: Mapping[str, Any]

    def truth(self, node: ast.expr) -> bool:
        match node:
            case ast.BoolOp(op=op, values=parts):
                # every part is looked at, also where one decides: a mistake shows in the first cell, not in the last
                truths = [self.truth(part) for part in parts]
                return all(truths) if isinstance(op, ast.And) else any(truths)
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return not self.truth(part)
            case ast.Compare(left=left, ops=ops, comparators=right):
                pairs = zip([left, *right[:-1]], ops, right, strict=True)
                truths = [self._compare(*pair) for pair in pairs]
                return all(truths)
        value = self.value(node)
        if not isinstance(value, bool):
            raise UserError(f"{self.text!r}: {ast.unparse(node)} is {_kind(value)}, not true or false; compare it")
        return value

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.choices[name]
            case ast.UnaryOp(op=ast.USub(), operand=part):
                value = self.value(part)
                if value is not None and _kind(value) != "a number":
                    raise UserError(f"{self.text!r}: {ast.unparse(part)} is {_kind(value)}, and has no minus")
                return None if value is None else -value
            case _:
                return self.truth(node)  # a comparison in parentheses

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
        one = self.value(left)
        if isinstance(right, LISTS):
            others = [self._same_kind(left, one, part) for part in right.elts]
            return (one in others) == isinstance(op, ast.In)
        other = self._same_kind(left, one, right)
        if one is None or other is None:
            return isinstance(op, ast.NotEq)
        return ORDER[type(op)](one, other)

    def _same_kind(self, left: ast.expr, one: Any, node: ast.expr) -> Any:
        """The value of ``node``, which must be of the kind of ``one``."""
        other = self.value(node)
        if one is not None and other is not None and _kind(one) != _kind(other):
            shown = f"{ast.unparse(left)} is {_kind(one)}, {ast.unparse(node)} is {_kind(other)}"
            raise UserError(f"{self.text!r}: {shown}; they cannot be compared")
        return other


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    return "a number" if isinstance(value, int | float) else "a text" if isinstance(value, str) else "nothing"
