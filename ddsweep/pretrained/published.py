"""The weights of foundation models: downloaded once, verified, and stored in the pool as safetensors.

Code in a downloaded file is never executed: files are read by ``torch.load(weights_only=True)`` or safetensors.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from ddsweep import files
from ddsweep.data.dataset import Dataset
from ddsweep.errors import UserError
from ddsweep.nn import foundation
from ddsweep.pretrained import renormalize, spec
from ddsweep.pretrained.pool import Pool, PretrainedModel
from ddsweep.registry.ptms import Foundation

NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # resnet18-f37072fd.pth: the first digits of its SHA-256


def ensure(row: Foundation) -> str:
    """Download the weights into the pool unless they are there; one process downloads while the others wait.

    Returns:
        Their checksum: SHA-256 of names, shapes and values. Equal checksums mean equal models.

    Raises:
        UserError: the download failed or the library is not installed; the error says how to proceed.
    """
    model = spec.published(row)
    if files.is_read_only(model.folder) and model.saved():
        return _metadata(model.weights(0))["data"]
    with files.lock(model.folder / ".lock"):
        if not model.saved():
            folder = model.folder / "download"
            _store(row, foundation.download(row, folder))
            shutil.rmtree(folder)
    return _metadata(model.weights(0))["data"]


def adopt(row: Foundation, path: Path) -> str:
    """Verify a file of weights that the user has, and put it into the pool.

    Returns:
        A short description of the file: the published one, or another.

    Raises:
        UserError: the file does not exist, its hash differs from the one in its name, it is of another network, it
            cannot be read without executing code, or the pool has other weights of this model, which results may use.
    """
    if not path.is_file():
        raise UserError(f"weights: file not found: {path}")
    with files.lock(spec.published(row).folder / ".lock"):
        digest = _store(row, path)
    if row.sha256 and digest.startswith(row.sha256):
        return f"the published file, sha256 {digest[:16]}"
    known = f", not the published {row.sha256}" if row.sha256 else ""
    return f"sha256 {digest[:16]}{known}"


def load(row: Foundation, target: Dataset) -> Pool:
    """Return a pool of this one model, on the device of ``target``, whose images it gets in [0, 1].

    Raises:
        UserError: the file is damaged, or the library is not installed.
    """
    net = build(row).to(target.labels.device)
    return Pool([[PretrainedModel(row.name, net, renormalize.to_pixels(target), canvas=row.size)]])


def build(row: Foundation) -> foundation.FoundationModel:
    """Return the model with the weights in the pool, on the CPU, frozen, in eval mode.

    Raises:
        UserError: the file is damaged, or the library is not installed.
    """
    path = spec.published(row).weights(0)
    try:
        weights = load_file(path)
        intact = checksum(weights) == _metadata(path)["data"]
    except (SafetensorError, KeyError, OSError):
        intact = False
    if not intact:
        raise UserError(f"{path} is damaged; remove it, then run: ddsweep pretrain {row.source}")
    return foundation.build(row, weights)


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of names, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {list(value.shape)} {value.dtype}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _store(row: Foundation, path: Path) -> str:
    """Verify the file and write its tensors into the pool; return the SHA-256 of the file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    named = NAMED_HASH.search(path.name)
    if named and not digest.startswith(named[1]):
        raise UserError(f"weights: {path} is damaged: its sha256 is {digest[:16]}…, its name has {named[1]}")
    weights = foundation.select(row, _read(path))
    model, data = spec.published(row), checksum(weights)
    stored = model.weights(0)
    if stored.is_file() and _metadata(stored)["data"] != data:
        raise UserError(f"weights: the pool has other weights of {row.name}; to replace them, first remove {stored}")
    files.clear_temporaries(model.folder)
    files.write_tensors(stored, weights, {"spec": model.title, "file": path.name, "sha256": digest, "data": data})
    return digest


def _read(path: Path) -> Mapping[str, Tensor]:
    if _is_program(path):
        raise UserError(
            f"weights: {path} is a TorchScript program, and code in weight files is never executed; use a file of "
            "tensors (.safetensors, .pth or .bin) of the same model"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # with arbitrary bytes the unpickler can raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
        raise UserError(f"weights: {path} has no tensors that can be read safely ({reason})") from None
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise UserError(f"weights: {path} is not a state dict (a mapping from names to tensors)")
    return loaded


def _is_program(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata() or {}
