"""``ddsweep pool``: the PTMs that are there."""

from __future__ import annotations

import json

import typer

from ddsweep.cli.options import Json


def pool(as_json: Json = False) -> None:
    """The pre-trained models: epochs, accuracy on their own test set, size on disk, and which sweeps use them."""
    from ddsweep import overview
    from ddsweep.cli import display
    from ddsweep.cli.data import amount
    from ddsweep.pretrained import inventory, spec

    found, users = inventory.holdings(), overview.users()
    used = [users.get(one.spec, []) if one.spec else [] for one in found]
    if as_json:
        records = [inventory.as_record(one, sweeps) for one, sweeps in zip(found, used, strict=True)]
        typer.echo(json.dumps(records, indent=2, ensure_ascii=False))
        return
    if not found:
        typer.echo(f"no PTMs in {spec.pool_dir()} yet; to train some ahead: ddsweep pretrain NAME", err=True)
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
                "disk": amount(one.disk),
                "used": ", ".join(sweeps) or "–",
            }
        )
    display.table(rows, heads=("PTM", "WIDTH", "EPOCHS", "ACC", "DISK", "USED BY"))
