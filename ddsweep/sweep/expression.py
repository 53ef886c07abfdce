"""Conditions on the choices of a cell: ``alpha == 0 and n_models > 1``.

The syntax is Python's, but no condition is run as Python: the text is parsed to a tree, a tree that contains anything
but comparisons of fields, numbers and strings is refused, and the rest is evaluated node by node. So neither a sweep
file nor a command line can run code, whoever wrote it.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ddsweep.errors import UserError, closest
from ddsweep.recipe import RENAMED

MAX_LENGTH, MAX_DEPTH = 1000, 30  # in characters and in levels of nesting
GRAMMAR = "fields, numbers, strings, True or False, compared by == != < <= > >= in, not in, combined by and, or, not"
ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
MEMBERSHIP = (ast.In, ast.NotIn)
LISTS = (ast.List, ast.Tuple, ast.Set)


@dataclass(frozen=True)
class Expression:
    """A condition whose tree was checked.

    Attributes:
        text: the condition as it was written.
        tree: its syntax tree.
        fields: the fields that it uses.
    """

    text: str
    tree: ast.expr
    fields: frozenset[str]

    @classmethod
    def parse(cls, text: str, names: Iterable[str]) -> Expression:
        """Parse ``text`` as a condition on the fields ``names``.

        Raises:
            UserError: it is not a valid condition; the line names the invalid part and what is allowed.
        """
        if len(text) > MAX_LENGTH:
            raise UserError(f"{text[:40]!r}…: is longer than {MAX_LENGTH} characters")
        try:
            with warnings.catch_warnings(action="ignore"):  # about an invalid escape in a string
                tree = ast.parse(text.strip(), mode="eval").body
        except SyntaxError as error:
            rest = text.strip()[max(0, (error.offset or 1) - 1) :]
            raise UserError(f"{text!r}: cannot be parsed at {rest or 'its end'!r}; write {GRAMMAR}") from None
        except (ValueError, MemoryError, RecursionError):  # a zero byte; nesting too deep for the parser
            raise UserError(f"{text!r}: cannot be parsed; write {GRAMMAR}") from None
        check = _Check(text.strip(), frozenset(names))
        check.visit(tree, MAX_DEPTH)
        fields = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        return cls(text, tree, fields)

    def holds(self, choices: Mapping[str, Any]) -> bool:
        """Whether the condition is true of ``choices``, which must have all its ``fields``.

        A field that is None is unequal to everything, and neither less nor greater than anything.

        Raises:
            UserError: a string is compared with a number, or a number is used as a truth value.
        """
        return _Evaluation(self.text.strip(), choices).truth(self.tree)


@dataclass(frozen=True)
class _Check:
    """Refuses a tree that is not in the grammar."""

    text: str
    names: frozenset[str]

    def visit(self, node: ast.expr, depth: int) -> None:
        if depth == 0:
            raise UserError(f"{self.text!r}: is nested more than {MAX_DEPTH} levels deep")
        match node:
            case ast.BoolOp(values=parts):
                inner = parts
            case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=part):
                inner = [part]
            case ast.Compare(left=left, ops=ops, comparators=right):
                inner = [left, *right[:-1], *self._last(ops, right)]
            case ast.Name(id=name):
                if name not in self.names:
                    hint = f"renamed to {RENAMED[name]}" if name in RENAMED else closest(name, self.names)
                    raise UserError(f"{self.text!r}: unknown field {name!r}; {hint}")
                return
            case ast.Constant(value=bool() | int() | float() | str()):
                return
            case _:
                self._refuse(node)
        for part in inner:
            self.visit(part, depth - 1)

    def _last(self, ops: list[ast.cmpop], right: list[ast.expr]) -> list[ast.expr]:
        """The last operand of a comparison: after ``in`` the items of a list of plain values, else an expression."""
        node, member = right[-1], isinstance(ops[-1], MEMBERSHIP)
        if not all(type(op) in ORDER for op in (ops[:-1] if member else ops)):
            self._refuse(node)
        if not member:
            return [node]
        if not isinstance(node, LISTS):
            raise UserError(f"{self.text!r}: {self._part(node)!r} is not a list; write in [a, b]")
        for item in node.elts:
            if not isinstance(item.operand if isinstance(item, ast.UnaryOp) else item, ast.Constant):
                self._refuse(item)
        return node.elts

    def _refuse(self, node: ast.expr) -> NoReturn:
        raise UserError(f"{self.text!r}: {self._part(node)!r} is not allowed here; write {GRAMMAR}")

    def _part(self, node: ast.expr) -> str:
        return ast.get_source_segment(self.text, node) or self.text


@dataclass(frozen=True)
class _Evaluation:
    """Evaluates a tree that passed ``_Check`` for one cell."""

    text: str
    choices: Mapping[str, Any]

    def truth(self, node: ast.expr) -> bool:
        match node:
            case ast.BoolOp(op=op, values=parts):
                # all parts are evaluated, even where one decides: a mistake shows in the first cell, not in the last
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
            raise UserError(f"{self.text!r}: {ast.unparse(node)} is {_kind(value)}, not a truth value; compare it")
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
                    raise UserError(f"{self.text!r}: {ast.unparse(part)} is {_kind(value)} and cannot be negated")
                return None if value is None else -value
            case _:
                return self.truth(node)  # a comparison in parentheses

    def _compare(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool:
        value = self.value(left)
        if isinstance(right, LISTS):
            others = [self._comparable(left, value, item) for item in right.elts]
            return (value in others) == isinstance(op, ast.In)
        other = self._comparable(left, value, right)
        if value is None or other is None:
            return isinstance(op, ast.NotEq)
        return ORDER[type(op)](value, other)

    def _comparable(self, left: ast.expr, value: Any, right: ast.expr) -> Any:
        """The value of ``right``, which must be of the same kind as ``value``, the value of ``left``."""
        other = self.value(right)
        if value is not None and other is not None and _kind(value) != _kind(other):
            kinds = f"{ast.unparse(left)} is {_kind(value)}, {ast.unparse(right)} is {_kind(other)}"
            raise UserError(f"{self.text!r}: {kinds}; they cannot be compared")
        return other


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "a truth value"
    return "a number" if isinstance(value, int | float) else "a string" if isinstance(value, str) else "nothing"
