"""``ddsweep pool``: list the PTMs and experts in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ddsweep.cli import console
from ddsweep.cli.options import Json

if TYPE_CHECKING:
    from ddsweep.pretrained.inventory import Entry


def pool(as_json: Json = False) -> None:
    """List PTMs and experts: epochs, accuracy on their source's test set, size, and the sweeps that use them."""
    from ddsweep import overview
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
    uses = dict(zip((ptm.folder for ptm in entries), used, strict=True))
    rows = [_row(group, uses[group[0].folder]) for group in inventory.grouped(entries)]
    display.table(rows, heads=("PTM", "WIDTH", "EPOCHS", "ACC", "DISK", "USED BY"))


def _row(group: Sequence[Entry], used: Sequence[str]) -> dict[str, Any]:
    """A PTM, or the experts that differ in their seed only, as a row."""
    from ddsweep import percent, text
    from ddsweep.pretrained import spec

    ptm, known = group[0], [one.last for one in group if one.last is not None]
    title = ptm.spec.title if ptm.spec else str(ptm.folder.relative_to(spec.pool_dir()))
    if ptm.spec and len(group) > 1:
        seeds = text.ranges(one.spec.seed for one in group if one.spec)
        title = f"{ptm.spec.arch} on {ptm.spec.domain}, experts {seeds}"
    trained = ptm.spec is not None and ptm.spec.foundation is None
    listed = text.ranges if ptm.spec and ptm.spec.is_expert else text.listed
    return {
        "ptm": title,
        "width": ptm.spec.width if ptm.spec and trained else "–",
        "epochs": listed(ptm.accuracy) if trained else "–",
        "acc": "–".join(dict.fromkeys(percent.percent(one) for one in (min(known), max(known)))) if known else "–",
        "disk": text.data_size(sum(one.disk for one in group)),
        "used": ", ".join(used) or "–",
    }
