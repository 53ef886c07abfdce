"""The dictionary that the code of DC, DSA, DM and DDInterpreter saves as ``res_METHOD_DATASET_NETWORK_kipc.pt``."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from ddsweep.errors import UserError
from ddsweep.exchange import conventions
from ddsweep.exchange.conventions import describe, tensors
from ddsweep.exchange.image_set import Facts, ImageSet, class_names
from ddsweep.exchange.source import Source
from ddsweep.exchange.space import NORMALIZE


class Vico:
    """``{"data": [[images, labels], …], "accs_all_exps": {network: [accuracy, …]}}``, one entry per experiment.

    ddsweep adds ``"classes": [name, …]``.
    """

    name = "vico"
    about = "res_METHOD_DATASET_NETWORK_kipc.pt, float32, normalized (DC, DSA, DM, DDInterpreter, DC-bench)"
    files: tuple[str, ...] = ("res_*ipc.pt", "*/*/IPC*/res_*ipc.pt")  # also in the folders of DC-bench
    bits = 0
    pixels = False

    def read(self, source: Source) -> ImageSet | None:
        """Return one experiment of the dictionary; by default the last, as in DC-bench."""
        if not (isinstance(source.content, dict) and "data" in source.content):
            return None
        path, sets = source.path, source.content["data"]
        if not (isinstance(sets, list) and sets and all(_is_set(one) for one in sets)):
            raise UserError(f"{path}: its 'data' is not a list of [images, labels]")
        if not -len(sets) <= source.experiment < len(sets):
            raise UserError(f"experiment: {path} holds {len(sets)} (allowed: 0 to {len(sets) - 1})")
        images, labels = sets[source.experiment]
        names = class_names(source.content.get("classes"))
        facts = source.facts or Facts(**conventions.claims(path), factor=1, classes=names)
        chosen = source.experiment % len(sets)
        several = (f"experiment {chosen} of 0 to {len(sets) - 1} (--experiment)",) if len(sets) > 1 else ()
        return ImageSet(images, labels, facts, self.name, several, usual=NORMALIZE)

    def write(self, one: ImageSet, folder: Path) -> Path:
        """Write the dictionary and its JSON description; return its path below ``folder``, as in DC-bench.

        DC-bench expects the same layout in its ``distilled_results``.
        """
        facts = one.facts
        network = str(facts.recipe.get("arch", "unknown"))
        path = folder / conventions.result_file(facts.method or "unknown", facts.dataset, network, facts.ipc)
        accuracies = facts.origin.get("accuracies", {})
        named = {conventions.NETWORKS.get(arch, arch): list(values) for arch, values in accuracies.items()}
        # DC's and DC-bench's code reads two keys and ignores the third
        tensors(path, {"data": [[one.images, one.labels]], "accs_all_exps": named, "classes": list(facts.classes)})
        describe(one, path.with_suffix(".json"), path.name, [path])
        return path


def _is_set(one: object) -> bool:
    return isinstance(one, list | tuple) and len(one) == 2 and all(isinstance(part, Tensor) for part in one)
