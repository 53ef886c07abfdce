"""``ddsweep pretrain``: train or download PTMs, or train experts, before a sweep needs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from ddsweep import text
from ddsweep.cli import console
from ddsweep.cli.options import Device, Settings, settings
from ddsweep.errors import UserError
from ddsweep.percent import percent
from ddsweep.settings import once

if TYPE_CHECKING:
    from ddsweep.numerics import Precision
    from ddsweep.registry.ptms import Foundation


def complete_source(incomplete: str) -> list[tuple[str, str]]:
    """Complete the name of a source."""
    from ddsweep.registry.datasets import TABLE
    from ddsweep.registry.ptms import PTMS

    known = {row.name: row.origin for row in TABLE.rows.values()} | {
        row.source: row.paper for row in PTMS.rows.values()
    }
    return [(name, console.as_help(about)) for name, about in known.items() if name.startswith(incomplete)]


Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="Source domain: a dataset or imagefolder:PATH to train on; or imagenet or internet, for a published PTM.",
        autocompletion=complete_source,
    ),
]
Archs = Annotated[str | None, typer.Option(metavar="A+B", help="Architectures, joined by + (default: convnet3).")]
Models = Annotated[int | None, typer.Option(min=1, help="PTMs per architecture, with seeds 0 … N-1 (default: 1).")]
Epochs = Annotated[
    str | None,
    typer.Option(
        metavar="1,4,150", help="Epochs whose weights to keep (default: the last). With --experts: the last epoch."
    ),
]
Experts = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Train experts with seeds 0 … N-1 instead of PTMs, for --set method=tm; every epoch is kept.",
        show_default=False,
    ),
]
Width = Annotated[int | None, typer.Option(min=1, help="Channels of a ConvNet (default: 128).")]
Weights = Annotated[Path | None, typer.Option(help="File with the published weights, for imagenet and internet.")]


def pretrain(
    source: Source,
    archs: Archs = None,
    models: Models = None,
    epochs: Epochs = None,
    experts: Experts = None,
    width: Width = None,
    set_: Settings = None,
    weights: Weights = None,
    device: Device = "auto",
) -> None:
    """Train PTMs or experts for the pool, or download the weights of a published PTM, before a sweep needs them."""
    from ddsweep import environment

    environment.set_up()
    from ddsweep import plugins
    from ddsweep.registry import ptms

    plugins.load()
    if experts is not None:
        if models is not None or weights is not None:
            raise UserError(f"experts: cannot be combined with --{'models' if weights is None else 'weights'}")
        _train_experts(source, _of_experts(experts, archs, epochs, width, settings(set_)), device)
        return
    asked = {"ptm_archs": archs, "n_models": models, "epochs": epochs, "width": width}
    given = once({name: value for name, value in asked.items() if value is not None}, settings(set_))
    if foundation := ptms.find(source):
        if given:
            raise UserError(f"{source} is a published PTM, which is not trained; remove {', '.join(given)}")
        if foundation.maker:
            raise UserError(f"source: {source} is made by a plugin; there is nothing to train or to download")
        _publish(foundation, weights)
    elif weights:
        raise UserError(f"weights: {source} is trained by ddsweep; --weights is only for {', '.join(_published())}")
    else:
        _train(source, given, device)


def _published() -> list[str]:
    from ddsweep.registry.ptms import PTMS

    return [source for source, row in PTMS.rows.items() if not row.maker]


def _publish(foundation: Foundation, weights: Path | None) -> None:
    from ddsweep.pretrained import published, spec

    remark = published.adopt(foundation, weights) if weights else None
    published.ensure(foundation)
    console.echo(f"{foundation.name}: {spec.published(foundation).weights(0)}{f' ({remark})' if remark else ''}")


def _train(source: str, choices: dict[str, Any], device: str) -> None:
    from ddsweep import device as devices
    from ddsweep.cli import interrupt, progress, reading
    from ddsweep.pretrained import spec

    epochs = _numbers(choices.pop("epochs", ""))
    needs = spec.ahead(source, choices, epochs)
    device = devices.resolve(device)[0]
    from ddsweep import data
    from ddsweep.pretrained import inventory, training

    with reading.shown():
        dataset = data.load(source, choices.get("size"), device)
    with interrupt.saving() as checkpoints, progress.several(len(needs)) as start:
        for ptm, wanted in needs.items():
            training.ensure(ptm, wanted, dataset, start(ptm.title), checkpoints)
            accuracy = inventory.read(ptm.folder).accuracy
            shown = (f"{epoch} ({_percent(accuracy[epoch])})" for epoch in sorted(wanted))
            console.echo(f"{ptm.title}: epochs {' '.join(shown)}")


def _of_experts(
    experts: int, arch: str | None, epochs: str | None, width: int | None, chosen: dict[str, Any]
) -> dict[str, Any]:
    last = _numbers(epochs or "")
    if len(last) > 1:
        raise UserError(f"epochs: every epoch of an expert is kept; give the last one, such as {max(last)}")
    asked = {"n_experts": experts, "arch": arch, "expert_train_epochs": last[0] if last else None, "width": width}
    return once({name: value for name, value in asked.items() if value is not None}, chosen)


def _train_experts(source: str, choices: dict[str, Any], device: str) -> None:
    from ddsweep import device as devices
    from ddsweep.cli import interrupt, progress, reading
    from ddsweep.pretrained import spec

    needs = spec.experts_ahead(source, choices)
    first, last = next(iter(needs)), max(epochs[-1] for epochs in needs.values())
    device = devices.resolve(device)[0]
    from ddsweep import data
    from ddsweep.numerics import Choice, compile_choice
    from ddsweep.pretrained import experts, inventory
    from ddsweep.pretrained.preparation import Preparation

    with reading.shown():
        dataset = data.load(source, choices.get("size"), device, first.zca)
    wanted = experts.missing_bytes(needs, dataset)
    title = f"{text.plural(len(needs), 'expert')} of {first.arch} on {first.domain}, epochs 0-{last}"
    console.echo(f"{title}: {text.data_size(wanted)} to write to {spec.pool_dir()}")
    choice = Choice(cast("Precision", first.precision), device, compile_choice())
    choice.set_up()
    with interrupt.saving() as checkpoints, progress.one_trial() as tracker:
        experts.train(needs, dataset, Preparation(tracker.progress, checkpoints, choice))
    accuracies = [inventory.read(one.folder).accuracy[last] for one in needs]
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    shown = f"; test accuracy {percent(min(known))} to {percent(max(known))} %" if known else ""
    console.echo(f"{title}: in the pool{shown}")


def _percent(accuracy: float | None) -> str:
    return "accuracy unknown" if accuracy is None else f"{percent(accuracy)} %"


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")] if text else []
    except ValueError:
        raise UserError(f"epochs: {text!r} is not a list of whole numbers such as 1,4,150") from None
