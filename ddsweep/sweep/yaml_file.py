"""Read a YAML file, and refuse what different readers of YAML understand differently.

PyYAML follows YAML 1.1, in which ``010`` is 8, ``1:30`` is 90 and ``no`` is false; in YAML 1.2 and to most people they
are 10, a text and a text. It also keeps only the last of two equal keys. Each of these would change a sweep without a
word, so a line says how to write what is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from ddsweep.errors import UserError

MAX_VALUES = 1_000_000  # with aliases expanded: nine lines of aliases of aliases can expand to a billion values
_PREFIX = "tag:yaml.org,2002:"
_LEADING_ZERO = re.compile(r"([-+]?)0[0-9_]+")
_OCTAL = re.compile(r"([-+]?)0o([0-7]+)")
_GROUPED = re.compile(r"[-+]?(0x|0b)?[0-9A-Fa-f]+(_[0-9A-Fa-f]+)+(\.[0-9_]*)?")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")


def read(path: Path) -> Any:
    """Parse a YAML file, in UTF-8.

    Raises:
        UserError: the file cannot be read, is not YAML, expands to too many values, has a key twice, or has a value
            that could mean two things; the message names file and line.
    """
    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}) > MAX_VALUES:
            raise UserError(f"{path}: has more than {MAX_VALUES} values with its aliases expanded")
        _check(node, path)
        return loader.construct_document(node)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: cannot be read: it is not UTF-8 ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date like 2026-13-01
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or "cannot be parsed"
        where = f", line {mark.line + 1}" if mark else ""
        tab = "; indent with spaces instead of tabs" if "'\\t'" in problem else ""
        raise UserError(f"{path}{where}: is not valid YAML ({problem}{tab})") from None


def _expanded_size(node: yaml.Node, sizes: dict[int, float]) -> float:
    """The number of values in ``node`` with aliases expanded; infinite if it contains itself."""
    if id(node) not in sizes:
        sizes[id(node)] = math.inf
        sizes[id(node)] = 1 + sum(_expanded_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    for item in node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else ():
        yield from item if isinstance(item, tuple) else (item,)


def _check(root: yaml.Node, path: Path) -> None:
    """Check every node once, in the order of the file."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, path)
        elif isinstance(node, yaml.ScalarNode) and node.style is None and (advice := _advice(node)):
            raise UserError(f"{path}, line {node.start_mark.line + 1}: {node.value} is {advice}")
        waiting += reversed(list(_children(node)))


def _check_keys(node: yaml.MappingNode, path: Path) -> None:
    lines: dict[tuple[str, str], int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_PREFIX}merge":  # of several merges, none is lost
            continue
        line, name = key.start_mark.line + 1, (key.tag, key.value)
        if name in lines:
            where = f"line {line}" if line == lines[name] else f"lines {lines[name]} and {line}"
            raise UserError(f"{path}, {where}: {key.value} is given twice; remove one")
        lines[name] = line


def _advice(node: yaml.ScalarNode) -> str:
    """What is ambiguous about an unquoted value, and how to write it; empty: nothing."""
    text, tag = node.value, node.tag.removeprefix(_PREFIX)
    if tag == "bool" and text.lower() not in ("true", "false"):
        meaning = "true" if text.lower() in ("yes", "on") else "false"
        return f"{meaning} in YAML 1.1 and a word in YAML 1.2; write {meaning}, or '{text}' for the word"
    if tag in ("int", "str") and (zeros := _LEADING_ZERO.fullmatch(text)):
        digits = text.replace("_", "").lstrip("+-0") or "0"
        plain = zeros[1].strip("+") + digits
        if tag == "int" and digits != "0":
            octal = zeros[1].strip("+") + str(int(digits, 8))
            return f"{octal} in YAML 1.1, where a leading 0 means octal; write {plain}, or {octal}"
        return f"not the same number to every reader of YAML; write {plain}"
    if tag == "str" and (octal_digits := _OCTAL.fullmatch(text)):
        value = octal_digits[1].strip("+") + str(int(octal_digits[2], 8))
        return f"a number only in YAML 1.2; write {value}, or '{text}' for the text"
    if tag in ("int", "float") and _SEXAGESIMAL.fullmatch(text):
        value = yaml.safe_load(text)
        return f"{value} in YAML 1.1, in base 60; write {value}, or '{text}' for the text"
    if tag in ("int", "float") and _GROUPED.fullmatch(text):
        return f"a number only in YAML 1.1; write {text.replace('_', '')}"
    return ""
