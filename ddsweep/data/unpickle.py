"""A restricted unpickler for untrusted files of plain data and numeric arrays.

CIFAR and ImageNet-32 are published as pickles, and a pickle is a program: it names functions, and loading calls them.
This unpickler replaces the few names that such files contain by its own readers, which only build numeric arrays from
bytes, and rejects every other name. NumPy's own reconstruction never runs on the contents of the file.
"""

from __future__ import annotations

import pickle
from typing import IO, Any

import numpy as np


class Refused(ValueError):
    """The file is damaged, or contains more than plain data and numeric arrays."""


def load(file: IO[bytes]) -> Any:
    """Load dicts, lists, tuples, strings, bytes, numbers and numeric arrays, pickled by Python 2 or 3.

    Python 2 strings, which are bytes, are decoded as Latin-1.

    Raises:
        Refused: the file is damaged, or contains anything else.
    """
    try:
        return _plain(_Reader(file, encoding="latin1").load())
    except Exception as error:  # on a damaged file, an unpickler can raise any exception
        raise Refused(" ".join(str(error).split()) or type(error).__name__) from error


class _Dtype:
    """``numpy.dtype(code, …)`` and its state, limited to scalar numbers of a fixed width, in either byte order."""

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
    """A placeholder for an array, empty until the pickle sets its state."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, content = state
        self.value = dtype.read(content, shape, fortran)


class _Named:
    """The replacement for a name in the pickle: an object without attributes, which a pickle cannot modify."""

    __slots__ = ()


class _Subclass(_Named):
    """``numpy.ndarray``, which occurs only as an argument."""

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
    """``_codecs.encode(text, "latin1")``, which Python 3 writes for bytes in a pickle that Python 2 can load."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise pickle.UnpicklingError(f"bytes written as {encoding!r}")
        return text.encode("latin1")


class _NoBytes(_Named):
    """``bytes()``, which Python 3 writes for an empty bytes object in a pickle that Python 2 can load."""

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
    """Replace placeholders by their arrays, and decode the keys of dicts to text."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key.decode("latin1") if isinstance(key, bytes) else key: _plain(one) for key, one in value.items()}
    return value
