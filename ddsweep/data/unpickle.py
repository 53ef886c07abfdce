"""Pickles of plain data and numeric arrays, read without trusting them.

CIFAR and ImageNet-32 come as pickles, and a pickle is a program: it names functions, and loading calls them. Here the
few names that such files contain stand for readers of our own, which build numeric arrays from bytes and nothing
else; any other name is refused. NumPy's own reconstruction never runs on what the file says.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np


class Refused(ValueError):
    """A file that holds something else than plain data and numeric arrays, or is damaged."""


def load(file: IO[bytes]) -> Any:
    """What was pickled: dicts, lists, tuples, strings, bytes, numbers, and numeric arrays; by Python 2 or 3.

    Strings of Python 2, which were bytes, become text as latin-1 reads them.

    Raises:
        Refused: see the class.
    """
    try:
        return _plain(_Reader(file, encoding="latin1").load())
    except Exception as error:  # an unpickler raises whatever a damaged file makes it do
        raise Refused(" ".join(str(error).split()) or type(error).__name__) from error


class _Dtype:
    """``numpy.dtype(code, …)`` and its state: single numbers of a fixed width, of either byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        code = code.decode("ascii") if isinstance(code, bytes) else code
        if not (isinstance(code, str) and len(code) == 2 and code[0] in "biuf" and code[1] in "1248"):
            raise pickle.UnpicklingError(f"an array of {code!r}, which is not a number")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.order = order

    def read(self, content: Any, shape: Any, fortran: Any) -> np.ndarray:
        content = content.encode("latin1") if isinstance(content, str) else content
        array = np.frombuffer(content, np.dtype(self.order + self.code))
        return array.reshape(shape, order="F" if fortran in (True, "F") else "C")


class _Array:
    """An array as it is taken from the pickle: empty, until its state arrives."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = dtype.read(content, shape, fortran)


class _Named:
    """What a name in the pickle stands for: an object without attributes, which a pickle cannot alter."""

    __slots__ = ()


class _Subclass(_Named):
    """``numpy.ndarray``, which is only ever an argument."""

    __slots__ = ()


class _Reconstruct(_Named):
    __slots__ = ()

    def __call__(self, subclass: Any, shape: Any, code: Any) -> _Array:
        if not isinstance(subclass, _Subclass):
            raise pickle.UnpicklingError("an array of another class")
        return _Array()


class _FromBuffer(_Named):
    __slots__ = ()

    def __call__(self, content: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
        return dtype.read(content, shape, order)


class _MakeDtype(_Named):
    __slots__ = ()

    def __call__(self, code: Any, align: Any = False, copy: Any = False) -> _Dtype:
        return _Dtype(code)


class _Encode(_Named):
    """How Python 3 writes bytes for Python 2: ``_codecs.encode(text, "latin1")``."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes written as {encoding!r}")
        return text.encode("latin1")


class _NoBytes(_Named):
    """How Python 3 writes no bytes at all for Python 2: ``bytes()``."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


_NUMPY_1_AND_2 = ("numpy.core", "numpy._core")
_NAMES: dict[tuple[str, str], _Named] = {
    ("numpy", "ndarray"): _Subclass(),
    ("numpy", "dtype"): _MakeDtype(),
    ("_codecs", "encode"): _Encode(),
    ("__builtin__", "bytes"): _NoBytes(),
    **{(f"{core}.multiarray", "_reconstruct"): _Reconstruct() for core in _NUMPY_1_AND_2},
    **{(f"{core}.numeric", "_frombuffer"): _FromBuffer() for core in _NUMPY_1_AND_2},
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no such file contains")
        return _NAMES[module, name]


def _plain(value: Any) -> Any:
    """With arrays in the place of their stand-ins, and text keys."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key.decode("latin1") if isinstance(key, bytes) else key: _plain(one) for key, one in value.items()}
    return value
