"""``ddsweep pool``: list the PTMs in the cache."""

from __future__ import annotations

from ddsweep.cli import console
from ddsweep.cli.options import Json


def pool(as_json: Json = False) -> None:
    """List the pre-trained models: epochs, accuracy on their source's test set, size, and the sweeps that use them."""
    from ddsweep import overview, percent, text
    from ddsweep.cli import display
    from ddsweep.pretrained import inventory, spec

    entries, users = inventory.entries(), overview.users()
    used = [users.get(ptm.spec, []) if ptm.spec else [] for ptm in entries]
    if as_json:
        records = [inventory.as_record(ptm, sweeps) for ptm, sweeps in zip(entries, used, strict=True)]
        console.write_json(records)
        return
    if not entries:
        console.note(f"no PTMs in {spec.pool_dir()} yet; train some, for example: ddsweep pretrain shapes")
        return
    rows = []
    for ptm, sweeps in zip(entries, used, strict=True):
        trained = ptm.spec is not None and ptm.spec.foundation is None
        rows.append(
            {
                "ptm": ptm.spec.title if ptm.spec else str(ptm.folder.relative_to(spec.pool_dir())),
                "width": ptm.spec.width if ptm.spec and trained else "–",
                "epochs": " ".join(map(str, ptm.accuracy)) if trained else "–",
                "acc": percent.percent(ptm.last) if ptm.last is not None else "–",
                "disk": text.data_size(ptm.disk),
                "used": ", ".join(sweeps) or "–",
            }
        )
    display.table(rows, heads=("PTM", "WIDTH", "EPOCHS", "ACC", "DISK", "USED BY"))
