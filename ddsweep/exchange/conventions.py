"""The naming conventions of DC's code and of DC-bench, and the JSON description of a set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from ddsweep import __version__, data, files
from ddsweep.exchange import integrity
from ddsweep.exchange.image_set import ImageSet
from ddsweep.registry.datasets import FOLDER_PREFIX

DATASETS = {
    "MNIST": "mnist", "FashionMNIST": "fashionmnist", "SVHN": "svhn", "CIFAR10": "cifar10", "CIFAR100": "cifar100",
    "TinyImageNet": "tinyimagenet", "tinyimagenet": "tinyimagenet",
}  # fmt: skip
NETWORKS = {
    "convnet3": "ConvNet", "convnet3-bn": "ConvNetBN", "alexnet": "AlexNet", "alexnet-bn": "AlexNetBN",
    "vgg11": "VGG11", "vgg11-bn": "VGG11BN", "resnet18": "ResNet18", "resnet18-bn": "ResNet18BN",
    "resnet18-ap": "ResNet18_AP", **{f"convnet{depth}": f"ConvNetD{depth}" for depth in (1, 2, 4, 5, 6)},
}  # fmt: skip
RESULT = re.compile(r"res_(?P<method>[^_]+)_(?P<dataset>[^_]+)_(?P<network>.+)_(?P<ipc>\d+)ipc\.pt")
PAIR = re.compile(r"(?P<dataset>[^_]+)_IPC(?P<ipc>\d+)_.*images\.pt")


def dataset_name(name: str) -> str:
    """Return the name of a dataset in DC's code and DC-bench; if they lack it, its own name in capitals."""
    theirs = next((other for other, ours in DATASETS.items() if ours == name), "")
    return theirs or re.sub(r"[^A-Z0-9]+", "-", Path(name.removeprefix(FOLDER_PREFIX)).name.upper())


def result_file(method: str, dataset: str, network: str, ipc: int) -> Path:
    """Return ``METHOD/DATASET/IPCk/res_METHOD_DATASET_NETWORK_kipc.pt``, as below DC-bench's ``distilled_results``."""
    name, theirs = dataset_name(dataset), NETWORKS.get(network, network)
    return Path(method.upper(), name, f"IPC{ipc}", f"res_{method.upper()}_{name}_{theirs}_{ipc}ipc.pt")


def claims(path: Path) -> dict[str, Any]:
    """Return those of ``dataset``, ``ipc`` and ``method`` that the names of the file and its folders contain."""
    found: dict[str, str] = {}
    *_, method, dataset, folder = ("", "", "", *path.absolute().parent.parts)
    if count := re.fullmatch(r"IPC(\d+)", folder):
        found = {"method": method, "dataset": dataset, "ipc": count[1]}
    for pattern in (RESULT, PAIR):
        if match := pattern.fullmatch(path.name):
            found |= match.groupdict()
    found.pop("network", None)
    said: dict[str, Any] = dict(found)
    if "dataset" in said:
        ours = DATASETS.get(found["dataset"], found["dataset"].lower())
        said["dataset"] = ours if ours in data.names() else ""
    if "ipc" in said:
        said["ipc"] = int(found["ipc"])
    if "method" in said:
        said["method"] = found["method"].lower()
    return said


def tensors(path: Path, value: Any) -> None:
    """Save atomically with ``torch.save``: tensors, numbers, strings, and lists and dictionaries of them."""
    with files.atomic(path) as temporary:
        torch.save(value, temporary)


def describe(one: ImageSet, place: Path, file: str, paths: Iterable[Path], **further: Any) -> None:
    """Write the JSON description of a set, with checksums of its files.

    Args:
        one: the set.
        place: path of the description.
        file: name of the set's file beside it; ``.``: the set is the folder.
        paths: all files of the set, already written.
        further: further facts.
    """
    n, channels, height, width = one.images.shape
    shape = {"images": n, "channels": channels, "height": height, "width": width, "channel_order": "RGB"[:channels]}
    record = one.facts.record(file, {**shape, "written_by": f"ddsweep {__version__}", **further})
    files.write_json(place, integrity.with_checksums(record, place.parent, paths))
