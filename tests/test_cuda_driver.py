"""How many GPUs PyTorch can use, without importing it: the driver and PyTorch's build are injected."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ddsweep import cuda_driver, device

Host = Callable[..., None]
BUILD = "cuda = '13.0'\nhip = None"
INVALID = 100  # CUDA_ERROR_NO_DEVICE


class Driver:
    """The driver of a host with ``gpus`` GPUs; each function returns 0 or an error, as CUDA's do."""

    def __init__(self, gpus: int, version: int, works: bool) -> None:
        self.gpus, self.version, self.works = gpus, version, works

    def cuInit(self, flags: int) -> int:
        assert flags == 0
        return 0 if self.works else INVALID

    def cuDriverGetVersion(self, out: Any) -> int:
        out._obj.value = self.version
        return 0

    def cuDeviceGetCount(self, out: Any) -> int:
        out._obj.value = self.gpus
        return 0


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    """``host(2)``: a host with two GPUs; ``build`` is the text of PyTorch's ``version.py``, ``own`` its own answer."""

    def make(
        gpus: int | None,
        driver: int = 13000,
        works: bool = True,
        build: str = "cuda = '13.0'\nhip = None",
        own: int = 99,
    ) -> None:
        folder = tmp_path / "torch"
        folder.mkdir(exist_ok=True)
        (folder / "version.py").write_text(build)
        found = SimpleNamespace(origin=str(folder / "__init__.py"))
        monkeypatch.setattr("importlib.util.find_spec", lambda name: found)
        monkeypatch.setattr("torch.cuda.is_available", lambda: own > 0)
        monkeypatch.setattr("torch.cuda.device_count", lambda: own)
        monkeypatch.setattr(cuda_driver, "sys", SimpleNamespace(modules={}, platform="linux"))

        def library(name: str) -> Driver:
            assert name == "libcuda.so.1"
            if gpus is None:
                raise OSError("libcuda.so.1: cannot open shared object file")
            return Driver(gpus, driver, works)

        monkeypatch.setattr(ctypes, "CDLL", library)

    return make


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_the_driver_counts(host: Host, gpus: int) -> None:
    host(gpus)
    assert cuda_driver.count() == gpus


def test_no_driver_and_one_that_does_not_work(host: Host) -> None:
    host(None)
    assert cuda_driver.count() == 0
    host(2, works=False)
    assert cuda_driver.count() == 0


@pytest.mark.parametrize(("driver", "expected"), [(12080, 0), (13000, 2), (13010, 2), (14000, 2)])
def test_a_driver_that_is_too_old_for_this_pytorch(host: Host, driver: int, expected: int) -> None:
    host(2, driver=driver)
    assert cuda_driver.count() == expected


def test_a_minor_version_that_the_driver_lacks_is_compatible(host: Host) -> None:
    host(2, driver=12000, build="cuda = '12.8'\nhip = None")
    assert cuda_driver.count() == 2


@pytest.mark.parametrize("line", ["cuda = None", "cuda: Optional[str] = None"])
def test_a_pytorch_without_cuda_uses_no_gpu(host: Host, line: str) -> None:
    host(2, build=f"from typing import Optional\n{line}\nhip: Optional[str] = None\n")
    assert cuda_driver.count() == 0
    assert device.resolve("auto") == ["cpu"]


@pytest.mark.parametrize(
    "build", ["cuda = None\nhip = '6.4'", "cuda = '13.0'", "cuda = ", "cuda = compute()\nhip = None"]
)
def test_other_builds_are_left_to_pytorch(host: Host, build: str) -> None:
    """ROCm, and a version file in a form that is not known."""
    host(2, build=build, own=3)
    assert cuda_driver.count() == 3


def test_the_build_of_the_installed_pytorch() -> None:
    assert cuda_driver._build() == {"cuda": torch.version.cuda, "hip": torch.version.hip}


def test_it_agrees_with_pytorch_and_does_not_import_it() -> None:
    code = (
        "import sys; from ddsweep import cuda_driver, device; "
        "print(cuda_driver.count(), device.resolve('auto')[0], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = torch.cuda.device_count() if torch.cuda.is_available() else 0
    assert done.stdout.split() == [str(expected), "cuda:0" if expected else "cpu", "False"]


def test_a_process_that_has_imported_pytorch_asks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 5)
    assert cuda_driver.count() == 5
