"""The weights of foundation models: had once, checked, and kept in the pool as safetensors.

A file of somebody else's is never unpickled with code in it: ``torch.load(weights_only=True)`` or safetensors.
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
from ddsweep.registry.networks import Foundation

NAMED_HASH = re.compile(r"-([0-9a-f]{8,64})\.\w+$")  # resnet18-f37072fd.pth: the first digits of its SHA-256


def ensure(row: Foundation) -> str:
    """Put the weights into the pool unless they are there; one process downloads while the others wait.

    Returns:
        Their checksum: SHA-256 of names, shapes and values. Equal checksums are equal models.

    Raises:
        UserError: no network, or the library is missing; the line says what to do.
    """
    one = spec.published(row)
    with files.lock(one.folder / ".lock"):
        if not one.saved():
            folder = one.folder / "download"
            _keep(row, foundation.download(row, folder))
            shutil.rmtree(folder)
    return _metadata(one.weights(0))["data"]


def adopt(row: Foundation, path: Path) -> str:
    """Check a file of weights that the user has, and put it into the pool.

    Returns:
        What is known of the file, in a few words: the published one, or another.

    Raises:
        UserError: no such file; its hash is not the one in its name; it is of another network; it needs to be
            unpickled; or the pool has other weights of this model, on which results may rest.
    """
    if not path.is_file():
        raise UserError(f"weights: no file {path}")
    one = spec.published(row)
    with files.lock(one.folder / ".lock"):
        digest = _keep(row, path)
    if row.sha256 and digest.startswith(row.sha256):
        return f"the published file, sha256 {digest[:16]}"
    known = f", not the published {row.sha256}" if row.sha256 else ""
    return f"sha256 {digest[:16]}{known}"


def load(row: Foundation, target: Dataset) -> Pool:
    """The pool of a trial: this one model, on the device of ``target``, which it sees in [0, 1].

    Raises:
        UserError: its file is damaged, or the library is not installed.
    """
    one = spec.published(row)
    path = one.weights(0)
    try:
        weights = load_file(path)
        intact = checksum(weights) == _metadata(path)["data"]
    except (SafetensorError, KeyError, OSError):
        intact = False
    if not intact:
        raise UserError(f"{path} is damaged; remove it, then: ddsweep pretrain {row.source}")
    net = foundation.build(row, weights).to(target.labels.device)
    return Pool([[PretrainedModel(row.name, net, renormalize.pixels(target), canvas=row.size)]])


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, shapes and values, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name} {list(value.shape)} {value.dtype}\n".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _keep(row: Foundation, path: Path) -> str:
    """Check the file and write its tensors into the pool; return its SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    named = NAMED_HASH.search(path.name)
    if named and not digest.startswith(named[1]):
        raise UserError(f"weights: {path} is damaged: its sha256 is {digest[:16]}…, its name says {named[1]}")
    weights = foundation.select(row, _read(path))
    one, own = spec.published(row), checksum(weights)
    kept = one.weights(0)
    if kept.is_file() and _metadata(kept)["data"] != own:
        raise UserError(f"weights: the pool has other weights of {row.name}; to replace them, first remove {kept}")
    files.clear_temporaries(one.folder)
    files.write_tensors(kept, weights, {"spec": one.title, "file": path.name, "sha256": digest, "data": own})
    return digest


def _read(path: Path) -> Mapping[str, Tensor]:
    if _is_program(path):
        raise UserError(
            f"weights: {path} is a TorchScript program, and what a file says is not run; take the file of tensors "
            "(.safetensors, .pth or .bin) of the same model"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes that are no pickle make the unpickler stumble anywhere
        reason = (str(error).splitlines() or [type(error).__name__])[0].partition(". ")[0]
        raise UserError(f"weights: {path} holds no tensors that can be read safely ({reason})") from None
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"weights: {path} is no state dict: names with tensors")
    return found


def _is_program(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _metadata(path: Path) -> dict[str, str]:
    with safe_open(path, "pt") as file:
        return file.metadata() or {}
