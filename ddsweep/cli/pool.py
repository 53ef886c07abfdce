"""``ddsweep pool``: list the PTMs in the cache."""

from __future__ import annotations

import json

import typer

from ddsweep.cli.options import Json


def pool(as_json: Json = False) -> None:
    """List the pre-trained models: epochs, accuracy on their own test set, size, and the sweeps that use them."""
    from ddsweep import overview, text
    from ddsweep.cli import display
    from ddsweep.pretrained import inventory, spec

    found, users = inventory.entries(), overview.users()
    used = [users.get(one.spec, []) if one.spec else [] for one in found]
    if as_json:
        records = [inventory.as_record(one, sweeps) for one, sweeps in zip(found, used, strict=True)]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo(f"no PTMs in {spec.pool_dir()} yet; train some with: ddsweep pretrain SOURCE", err=True)
        return
    rows = []
    for one, sweeps in zip(found, used, strict=True):
        trained = one.spec is not None and one.spec.foundation is None
        rows.append(
            {
                "ptm": one.spec.title if one.spec else str(one.folder.relative_to(spec.pool_dir())),
                "width": one.spec.width if one.spec and trained else "–",
                "epochs": " ".join(map(str, one.accuracy)) if trained else "–",
                "acc": f"{100 * one.last:.1f}" if one.last is not None else "–",
                "disk": text.data_size(one.disk),
                "used": ", ".join(sweeps) or "–",
            }
        )
    display.table(rows, heads=("PTM", "WIDTH", "EPOCHS", "ACC", "DISK", "USED BY"))
