import io
import os
import pickle
import pickletools
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ddsweep.data import unpickle


def read(content):
    return unpickle.load(io.BytesIO(content))


def same(found, expected):
    return found.dtype == expected.dtype and np.array_equal(found, expected)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_batch_is_read_at_every_protocol(protocol):
    """ImageNet-32 has protocol 4, CIFAR protocol 2."""
    pixels = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)
    batch = {"data": pixels, "labels": [1, 1000], "mean": np.linspace(0, 1, 5), "batch_label": "a batch"}
    found = read(pickle.dumps(batch, protocol=protocol))
    assert same(found["data"], pixels)
    assert same(found["mean"], batch["mean"])
    assert (found["labels"], found["batch_label"]) == (batch["labels"], batch["batch_label"])


def test_a_pickle_of_python_2_is_read():
    """As cPickle of Python 2 wrote CIFAR: str for keys and for the bytes of arrays, numpy.core for the module."""
    content = (
        b"\x80\x02}q\x01(U\x06labelsq\x02]q\x03(K\x06K\x09eU\x04dataq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05"
        b"cnumpy\nndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x01K\x03\x86cnumpy\ndtype\nq\x08U\x02u1K\x00K\x01\x87R"
        b"q\x09(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x03\x00\x80\xfftbu."
    )
    found = read(content)
    assert found["labels"] == [6, 9]
    assert found["data"].tolist() == [[0, 128, 255]]


@settings(deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.dtype(code) for code in ("u1", "i8", "f4", ">i4")]), st.sampled_from([(0,), (4,), (2, 3)])
    )
)
def test_an_array_is_read_as_numpy_reads_it(array):
    for one in (array, np.asfortranarray(array)):
        for protocol in (2, 4, 5):
            assert read(pickle.dumps({"a": one}, protocol=protocol))["a"].tobytes() == one.tobytes()


class Calls:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": Calls(os.system, "touch owned"),
    "eval": Calls(eval, "open('owned', 'w')"),
    "subprocess": Calls(subprocess.call, ["touch", "owned"]),
    "getattr": Calls(getattr, "", "join"),
    "a class of numpy": np.float64(1.0),
    "objects in an array": np.array([1, "a"], dtype=object),
    "records in an array": np.zeros(2, dtype=[("a", "u1"), ("b", "O")]),
    "text in an array": np.array(["a"]),
    "a subclass": np.zeros(2).view(np.recarray),
    "a dtype of fields": np.dtype([("a", "u1")]),
    "a function of numpy": Calls(np.load, "x"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_else_a_pickle_names_is_refused_and_not_called(what, protocol, isolated):
    content = pickle.dumps({"data": HOSTILE[what], "labels": []}, protocol=protocol)
    with pytest.raises(unpickle.Refused) as caught:
        read(content)
    assert "\n" not in str(caught.value)
    assert not (isolated / "owned").exists()


def test_the_name_that_is_refused_is_said():
    with pytest.raises(unpickle.Refused, match=r"it names (posix|nt)\.system, which no such file contains"):
        read(pickle.dumps(Calls(os.system, "true")))


def code(*parts):
    """A pickle written by hand."""
    return b"\x80\x02" + b"".join(parts) + b"."


DTYPE = b"cnumpy\ndtype\n"


@pytest.mark.parametrize(
    "content",
    [
        code(DTYPE, b"}U\x04evilK\x01sb"),  # BUILD: a state for the function itself
        code(DTYPE, b"N}U\x08__call__K\x01s\x86b"),  # BUILD with attributes to set
        code(DTYPE, b")\x81"),  # NEWOBJ: an instance, past __call__
        code(b"c__builtin__\neval\n", b"U\x031+1\x85R"),
        code(b"cnumpy.core.multiarray\n_reconstruct.__globals__\n"),
        b"\x80\x04\x8c\x1dnumpy._core.multiarray\x8c\x14_reconstruct.__call__\x93.",
        code(DTYPE, b"U\x02O8\x85R"),
        code(DTYPE, b"U\x02u3\x85R"),
        code(DTYPE, b"U\x02u1\x85R(K\x03U\x01?tb"),
        code(b"c_codecs\nencode\n", b"U\x01aU\x05rot13\x86R"),
        b"",
        b"garbage",
        pickle.dumps({"data": np.zeros(100)})[:-40],
    ],
)
def test_a_pickle_that_is_written_by_hand_or_damaged_is_refused(content):
    with pytest.raises(unpickle.Refused):
        read(content)


def test_reading_leaves_the_readers_as_they_were():
    before = {name: type(one).__dict__.copy() for name, one in unpickle._NAMES.items()}
    for part in (b"}U\x04evilK\x01sb", b"N}U\x08__call__K\x01s\x86b"):
        with pytest.raises(unpickle.Refused):
            read(code(DTYPE, part))
    assert {name: type(one).__dict__.copy() for name, one in unpickle._NAMES.items()} == before


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_no_mutation_of_a_batch_does_more_than_be_read_or_refused(draw):
    content = bytearray(pickle.dumps({"data": np.zeros((1, 8), np.uint8), "labels": [1]}, protocol=2))
    for _ in range(draw.draw(st.integers(1, 3))):
        content[draw.draw(st.integers(0, len(content) - 1))] = draw.draw(st.integers(0, 255))
    try:
        read(bytes(content))
    except unpickle.Refused:
        return


def test_the_hostile_pickles_are_hostile(isolated):
    """The plain unpickler would have called them: the tests above would not pass by accident."""
    content = pickle.dumps(HOSTILE["eval"])
    assert any(code.name in ("GLOBAL", "STACK_GLOBAL") for code, _, _ in pickletools.genops(content))
    pickle.loads(content).close()
    assert (isolated / "owned").exists()
