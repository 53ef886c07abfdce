"""``ddsweep evaluate``: evaluate a synthetic set from any source as a trial evaluates its own."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ddsweep.cli import console
from ddsweep.cli.options import Device, Json, settings
from ddsweep.judging import FIELDS
from ddsweep.percent import mean_std, percent
from ddsweep.registry.rules import RULES
from ddsweep.settings import once

if TYPE_CHECKING:
    from ddsweep.evaluate import Evaluation
    from ddsweep.exchange import ImageSet
    from ddsweep.exchange.prepare import Prepared
    from ddsweep.judging import Job, Judged


class Metric(StrEnum):
    """The quantity to compute."""

    accuracy = "accuracy"
    lrs = "lrs"


File = Annotated[Path, typer.Argument(metavar="FILE", help="File or folder with a synthetic set.", show_default=False)]
Dataset = Annotated[
    str | None, typer.Option(metavar="NAME", help="Dataset to test on (default: the one that FILE names).")
]
Arch = Annotated[
    str | None,
    typer.Option("--arch", "-a", metavar="A+B", help="Architectures to train, joined by + (default: convnet3)."),
]
Rule = Annotated[
    str | None,
    typer.Option(
        metavar="RULE",
        help="Evaluation rule: paper (default), best, evaluate_synset, plain300, dc, idc, dream, tm, dim, or a "
        "plugin's.",
    ),
]
Nets = Annotated[int | None, typer.Option("--nets", "-n", min=1, help="Networks per architecture (default: 5).")]
Ipc = Annotated[
    int, typer.Option(min=0, help="Fail unless the set has this many images per class.", show_default=False)
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of networks, shuffling, and augmentation (default: 0).")]
Space = Annotated[
    str,
    typer.Option(
        metavar="normalized|unit|symmetric|bytes|zca|DATASET",
        help="How the values are scaled: normalized with the statistics of --dataset (or of DATASET), pixels in "
        "[0, 1], [-1, 1], or [0, 255], or whitened (MTT's ZCA) (default: as FILE states, or else as its values "
        "suggest, which is said).",
        show_default=False,
    ),
]
Factor = Annotated[
    int, typer.Option(min=0, max=16, help="Images along each side of a stored image (IDC).", show_default=False)
]
Experiment = Annotated[int, typer.Option(help="Index of the set in a file of DC, DSA, or DM; -1 is the last.")]
Hard = Annotated[
    bool, typer.Option("--hard-labels", help="Replace learned labels by the class with the largest weight.")
]
Classes = Annotated[
    str,
    typer.Option(
        metavar="NAME,NAME|FILE",
        help="Class names in label order, or a text file with one per line, if FILE has none or others than the "
        "dataset.",
        show_default=False,
    ),
]
Metrics = Annotated[
    Metric,
    typer.Option(
        case_sensitive=False,
        help="What to compute; lrs adds DD-Ranking's label-robust score, which takes far more training.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        "-s",
        metavar="KEY=VALUE",
        help=f"Evaluation setting: {', '.join(FIELDS)} (the last for lrs). Repeatable.",
    ),
]


def evaluate(
    file: File,
    dataset: Dataset = None,
    arch: Arch = None,
    rule: Rule = None,
    nets: Nets = None,
    ipc: Ipc = 0,
    seed: Seed = None,
    space: Space = "",
    factor: Factor = 0,
    experiment: Experiment = -1,
    hard_labels: Hard = False,
    classes: Classes = "",
    metric: Metrics = Metric.accuracy,
    set_: Set = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Train networks on any synthetic set and test them: `ddsweep evaluate images_best.pt --dataset cifar10`.

    Reads the formats of DC, DSA, DM, DDInterpreter, MTT, IDC, DREAM, DC-bench, DD-Ranking, and KIP, folders of images,
    and ddsweep's own. Classes are matched by name; for labels without names, it says which order it assumes.
    """
    from ddsweep import environment

    environment.set_up()
    from ddsweep import device as devices
    from ddsweep import exchange, judging, plugins
    from ddsweep.cli import progress, reading
    from ddsweep.exchange import names
    from ddsweep.exchange.image_set import target_dataset
    from ddsweep.exchange.prepare import Choices

    plugins.load()
    options = {"eval_archs": arch, "eval_rule": rule, "eval_nets": nets, "seed": seed}
    asked = {name: value for name, value in options.items() if value is not None}
    choices = once(asked, judging.checked(settings(set_)))
    device = devices.resolve(device)[0]
    image_set = exchange.read(file, experiment)
    choices = judging.choices_of(image_set.facts, dataset, choices)
    target = target_dataset(str(file), dataset, image_set.facts)
    job = judging.Job(target, choices, device, metric is Metric.lrs)
    with reading.shown():
        prepared, loaded = job.prepare(image_set, file, Choices(space, factor, ipc, hard_labels, names.listed(classes)))
    for warning in prepared.warnings:
        console.note(f"warning: {warning}")
    if not as_json:
        console.echo(f"{file}: " + "\n".join(_interpretation(image_set, prepared, job)))
    with progress.one_trial(data=as_json) as tracker:
        judged = job.judge(prepared.synthetic, loaded, tracker)
    if as_json:
        _print_json(file, image_set, prepared, judged, loaded.classes)
    else:
        _print(judged, job.choices.get("eval_rule", "paper"))


def _interpretation(image_set: ImageSet, prepared: Prepared, job: Job) -> list[str]:
    """How the file was interpreted, as lines for the user to check."""
    channels, size = image_set.images.shape[1:3]
    synthetic, facts = prepared.synthetic, image_set.facts
    cells = f", each split into {prepared.factor}x{prepared.factor}" if prepared.factor > 1 else ""
    lines = [
        f"format {image_set.format}, {len(image_set.images)} images of {channels}x{size}x{size}{cells}",
        f"{synthetic.ipc} per class, {synthetic.classes} classes of {job.dataset}",
    ]
    if not prepared.space.mean:
        lines.append(f"{prepared.space.title}, as the test images")
    elif prepared.space.is_fixed:
        lines.append(f"{prepared.space.title}, normalized for the networks")
    else:
        mean, std = (
            ", ".join(f"{value:.4g}" for value in values) for values in (prepared.space.mean, prepared.space.std)
        )
        lines.append(f"{prepared.space.title}: mean {mean}; std {std}")
    if facts.dataset and facts.dataset != job.dataset:
        lines.append(f"its name or metadata says {facts.dataset}; testing on {job.dataset} as requested")
    if facts.lr is not None and "eval_lr" not in job.choices:
        lines.append(f"its learned learning rate is not used; to use it: --rule tm, or --set eval_lr={facts.lr:.6g}")
    if job.dataset == "cifar100" and not facts.mean and prepared.space.name == "cifar100":
        lines.append("MTT, IDC and DD-Ranking normalize cifar100 with the statistics of cifar10: --space cifar10")
    return [*lines, *image_set.remarks, *prepared.remarks]


def _print(judged: list[Judged], name: str) -> None:
    from ddsweep.cli import display
    from ddsweep.results.tables import by_group

    rows = []
    for network in judged:
        evaluation = network.evaluation
        accuracy = mean_std(evaluation.mean, evaluation.std)
        row: dict[str, Any] = {"network": network.arch, "accuracy": accuracy, "networks": len(evaluation.accuracies)}
        row |= _by_group(evaluation)
        if score := network.score:
            row |= {"LRS %": percent(score.value), "random": percent(score.random)}
            row |= {"full": percent(score.full)}
        rows.append(row)
    display.table(rows, list(rows[0]))
    out = display.stdout()
    out.print("test accuracy in percent", style="dim")
    if any(network.evaluation.group_accuracy for network in judged):
        out.say(by_group.MEANING, style="dim")
    for rule in dict.fromkeys(network.rule for network in judged):
        numbers = f"{rule.epochs} epochs, batch {rule.batch}, lr {rule.lr:g}, augmentation {rule.strategy}"
        mixed = " and CutMix" if rule.cutmix else ""
        out.say(f"rule {name}: {numbers}{mixed}, {RULES[name].counts}", style="dim")
    if any(network.score for network in judged):
        out.print(
            "LRS = (e^a - 1/e) / (e - 1/e) with a = (IOR - HLR) / 2, IOR = accuracy - random, HLR = full - accuracy, "
            "as fractions; random: real images at the best of 5 learning rates; full: a PTM on all of them",
            style="dim",
            soft_wrap=True,
        )


def _by_group(evaluation: Evaluation) -> dict[str, str]:
    """The columns of a dataset with attributes."""
    from ddsweep.results.tables import by_group

    found = evaluation.group_accuracy.items()
    return {by_group.title(name): "–" if value is None else percent(value) for name, value in found}


def _print_json(
    file: Path, image_set: ImageSet, prepared: Prepared, judged: list[Judged], classes: tuple[str, ...]
) -> None:
    from dataclasses import asdict

    record = {
        "file": str(file),
        "format": image_set.format,
        "images": len(image_set.images),
        "ipc": prepared.synthetic.ipc,
        "classes": prepared.synthetic.classes,
        "class_names": classes,
        "factor": prepared.factor,
        "space": asdict(prepared.space),
        "warnings": list(prepared.warnings),
        "remarks": [*image_set.remarks, *prepared.remarks],
        "networks": [network.record() for network in judged],
    }
    console.write_json(record, indent=None)
