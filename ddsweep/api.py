"""The Python interface: what the command line does, as functions for notebooks and scripts.

Everything here is also an attribute of ``ddsweep``. Importing this module loads neither torch nor pandas; a function
imports what it needs when it is called. User mistakes raise ``ddsweep.UserError`` with a one-line message.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ddsweep import characters, processes
from ddsweep.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from ddsweep.data import Dataset
    from ddsweep.evaluate import Evaluation
    from ddsweep.exchange.synthetic_set import SyntheticSet
    from ddsweep.numerics import Compile
    from ddsweep.recipe import Recipe
    from ddsweep.results.result import Result
    from ddsweep.sweep import Sweep
    from ddsweep.trackers import Tracker

Choice = bool | int | float | str


def run(
    sweep: str | Path | Recipe,
    *,
    profile: str | None = None,
    device: str = "auto",
    runs: str | Path = "runs",
    compile: Compile | None = None,
    tracker: Tracker | None = None,
    **choices: Choice,
) -> Result:
    """Run one trial in this process: train or load its PTMs, distill, and evaluate.

    A finished trial is returned from ``runs`` without being computed again. An interrupted one resumes from its last
    checkpoint when it is run again.

        >>> ddsweep.run("ablation-alpha", profile="demo", alpha=100, seed=0).accuracy
        >>> ddsweep.run(ddsweep.Recipe(target="digits", ipc=1, alpha=0, iterations=100))

    Args:
        sweep: the name of a sweep (``ablation-alpha``, ``ablation-alpha@demo``), the path of a sweep file, or a recipe.
        profile: ``demo``, ``quick`` or ``paper`` (the default); only with a sweep.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        runs: folder of all runs; the files of the trial are in ``runs/KEY``.
        compile: ``auto`` (torch.compile only where it pays off), ``on`` or ``off``; default: ``$DDSWEEP_COMPILE``.
        tracker: receives progress, metrics and images (``ddsweep.trackers``); default: nothing does.
        **choices: values of recipe fields that leave a single cell of the sweep.

    Returns:
        The result: ``accuracy`` and ``accuracy_std`` as fractions, per-network and per-class accuracies, seconds.
        ``state`` is ``failed``, and ``reason`` says why, if the loss diverged.

    Raises:
        UserError: an unknown sweep or field, choices that leave several cells, or data that cannot be read.
    """
    from ddsweep import environment

    environment.set_up()
    from ddsweep import device as devices
    from ddsweep import plugins, trial
    from ddsweep import sweep as sweeps
    from ddsweep.recipe import Recipe
    from ddsweep.trackers import Tracker

    plugins.load()
    if isinstance(sweep, Recipe):
        if choices or profile:
            given = ", ".join(["profile"] * bool(profile) + list(choices))
            raise UserError(f"{given}: not allowed with a recipe; make a recipe with these values")
        recipe = sweep
    else:
        recipe = single_recipe(sweeps.load(str(sweep), profile, choices))
    return trial.run(recipe, tracker or Tracker(), devices.resolve(device)[0], Path(runs), compile=compile)


def single_recipe(sweep: Sweep) -> Recipe:
    """Return the recipe of a sweep that has a single cell.

    Raises:
        UserError: the sweep is a search or has several cells; the message shows how to choose one.
    """
    if len(sweep.cells) == 1 and not sweep.search:
        return sweep.cells[0].recipe
    example = ", ".join(f"{field}={sweep.example(field)}" for field in sweep.swept)
    kind = "is a search" if sweep.search else f"has {len(sweep.cells)} cells"
    raise UserError(f"{sweep.full_name} {kind}; choose one, for example: {example}")


def launch(
    sweep: str | Path,
    *,
    profile: str | None = None,
    device: str = "auto",
    workers: int | None = None,
    gpus: str | None = None,
    per_gpu: int | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
    compile: Compile | None = None,
    replace: bool = False,
    confirm: int | None = None,
    name: str | None = None,
    **choices: Choice | Sequence[Choice],
) -> pd.DataFrame:
    """Run a whole sweep with agents on every GPU (or the CPU), print the progress, and return the table.

    This is ``ddsweep launch`` in a process of its own. Interrupting it (the stop button of a notebook) stops the
    agents and keeps their checkpoints; launching again continues.

        >>> ddsweep.launch("ablation-alpha", profile="demo", alpha=[0, 50, 100], seed=[0, 1])

    Args:
        sweep: the name of a sweep, with or without ``@PROFILE``, or the path of a sweep file.
        profile: ``demo``, ``quick`` or ``paper`` (the default).
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        workers: agents; default: one per GPU; on a CPU, as many as a measurement of the machine recommends.
        gpus: which GPUs, as ``all``, ``0-3``, ``0,2``, or UUIDs.
        per_gpu: agents on each GPU; default: 1.
        runs: folder of all runs.
        storage: an Optuna storage URL; default: SQLite in ``runs``.
        compile: ``auto``, ``on`` or ``off``.
        replace: make the table exactly this launch; otherwise, finished cells of earlier launches stay in it.
        confirm: run the best trial of a launched search again, and its baseline, with this number of new seeds, as the
            sweep ``NAME-confirm``.
        name: the name of the sweep; default: that of the file, with the choices that ask another question.
        **choices: recipe fields to override; a list replaces the values of an axis.

    Returns:
        The table, as ``ddsweep.results`` returns it.

    Raises:
        UserError: the sweep could not be launched, or not every cell is complete; ``ddsweep.results`` still has the
            others.
    """
    from ddsweep import launches, plugins
    from ddsweep.sweep.confirming import SUFFIX

    if confirm is None and plugins.has_notebook_parts():
        planned = launches.planned(str(sweep), profile, choices, Path(runs), storage, name or "")
        plugins.check_launch(recipe.plugins for recipe in planned.recipes)
    options = {
        "profile": profile, "device": device, "workers": workers, "gpus": gpus, "per-gpu": per_gpu, "runs": runs,
        "storage": storage, "compile": compile, "confirm": confirm, "as": name,
    }  # fmt: skip
    words = [word for name, value in options.items() if value is not None for word in (f"--{name}", str(value))]
    words += ["--replace"] if replace else []
    words += [word for name, value in choices.items() for word in ("--set", f"{name}={_written(value)}")]
    _command_line("launch", str(sweep), *words)
    if confirm is None:
        planned = launches.planned(str(sweep), profile, choices, Path(runs), storage, name or "")
        return results(planned.full_name, runs=runs, storage=storage)
    searched, _, scale = launches.registered_name(str(sweep), profile).partition("@")
    return results(f"{searched}{SUFFIX}@{scale}", runs=runs, storage=storage)


def results(
    sweep: str | Path,
    *,
    profile: str | None = None,
    runs: str | Path = "runs",
    storage: str | None = None,
    where: str | None = None,
    per_cell: bool = False,
) -> pd.DataFrame:
    """Return the results of a launched sweep as a pandas DataFrame.

        >>> ddsweep.results("ablation-alpha@demo").plot(x="alpha", y="accuracy")

    Args:
        sweep: ``NAME@PROFILE`` as it was launched.
        profile: the profile, if ``sweep`` does not include it.
        runs: folder of all runs.
        storage: an Optuna storage URL; default: SQLite in ``runs``.
        where: only cells that fulfill a condition on recipe fields, for example ``"alpha <= 100"``, and the baselines
            they are compared with.
        per_cell: one row per finished or failed cell and evaluated architecture, with its state and key, instead of
            one per setting with mean and std over the seeds.

    Returns:
        The rows of ``ddsweep results --format csv``; accuracies are fractions. For a search, its trials, best first.

    Raises:
        UserError: the sweep was never launched in this folder or storage; pandas is not installed; or the condition is
            not one.
    """
    from ddsweep import launches
    from ddsweep.results import stored
    from ddsweep.results.tables import formats, ranking, table
    from ddsweep.results.tables.cells import records as records_of_cells

    pandas = _pandas()
    launched = launches.finished(str(sweep), profile, Path(runs), storage)
    cells = table.where(launched, where) if where else None
    found = stored.collect(launched, Path(runs))
    if per_cell:
        rows = [row for row in records_of_cells(launched, found, cells) if row["state"] in ("done", "failed")]
    elif launched.search:
        rows = ranking.records(ranking.build(launched, found, Path(runs), cells))
    else:
        rows = formats.records(table.build(launched, found, cells))
    return pandas.DataFrame.from_records(rows)


def load_set(
    reference: str | Path,
    *,
    dataset: str | None = None,
    classes: Sequence[str] = (),
    space: str = "",
    runs: str | Path = "runs",
    storage: str | None = None,
) -> SyntheticSet:
    """Load a synthetic set: of a finished cell, or from a file in any supported format.

        >>> ddsweep.load_set("ablation-alpha@demo:alpha=100").grid()
        >>> ddsweep.load_set("images_best.pt", dataset="cifar10").images.shape

    Args:
        reference: a file or folder; the key of a cell; or ``NAME@PROFILE:FIELD=VALUE,…``, which selects one cell of a
            launched sweep.
        dataset: the dataset that the set was distilled from, if the file does not say. Classes are matched by name.
        classes: class names in label order, for a file that has none or others than the dataset.
        space: how the values of a file are scaled: ``normalized`` (with the statistics of the dataset), ``unit``,
            ``symmetric`` or ``bytes`` (pixels in [0, 1], [-1, 1] or [0, 255]), or the name of another dataset with
            whose statistics they are normalized; default: as the file states, or else as its values suggest, which
            ``remarks`` of the set says.
        runs: folder of all runs.
        storage: an Optuna storage URL; default: SQLite in ``runs``.

    Raises:
        UserError: there is no such file or cell, the cell is not finished, the file is damaged or needs ``dataset``, or
            its classes are not those of the dataset, or its values fit several spaces.
    """
    from ddsweep import launches
    from ddsweep.exchange import collect, synthetic_set
    from ddsweep.results.run_files import SET

    path = Path(reference)
    if path.exists():
        return synthetic_set.read(path, dataset, tuple(classes), space)
    if ":" not in str(reference) and (len(path.parts) > 1 or (path.suffix and "@" not in path.name)):
        raise UserError(f"{reference}: no such file")
    folder = launches.run_folder(str(reference), None, None, Path(runs), storage)
    return synthetic_set.of(collect.collect(folder), folder / SET, dataset, tuple(classes), space)


def load_dataset(name: str, *, size: int | None = None, device: str = "cpu", zca: bool = False) -> Dataset:
    """Load a dataset as tensors, downloading and decoding it first if necessary.

    Args:
        name: a name that ``ddsweep data list`` shows, of a biased dataset also with its fields
            (``cmnist:align=0.95,severity=2``), or ``imagefolder:PATH``.
        size: height and width in pixels; default: the dataset's own.
        device: the device of the tensors.
        zca: whiten the images instead of normalizing them.

    Returns:
        Training and test images, normalized as (pixel / 255 - mean) / std (or whitened), with labels, class names, mean
        and std; of a dataset with attributes, also these.

    Raises:
        UserError: an unknown name, a folder that is not a dataset, or a download that failed.
    """
    from ddsweep import data

    return data.load(name, size, device, zca)


def evaluate(
    synthetic: SyntheticSet | str | Path,
    *,
    dataset: str | None = None,
    classes: Sequence[str] = (),
    space: str = "",
    arch: str | None = None,
    rule: str | None = None,
    nets: int | None = None,
    seed: int | None = None,
    device: str = "auto",
    runs: str | Path = "runs",
    **choices: Choice,
) -> dict[str, Evaluation]:
    """Train new networks on a synthetic set, and test them on the real test images.

    Without options, a set of ddsweep is evaluated as it was in its trial.

        >>> ddsweep.evaluate("images_best.pt", dataset="cifar10", arch="convnet3+resnet18")["resnet18"].mean

    Args:
        synthetic: a set, or whatever ``load_set`` accepts.
        dataset: the dataset with the test images; default: the one that the set was distilled from. Classes are matched
            by name.
        classes: class names of the set in label order, if it has none or others than the dataset.
        space: how the values of a file are scaled, as in ``load_set``.
        arch: networks to train, joined by ``+``; default: convnet3.
        rule: ``paper`` (the default), ``best``, ``evaluate_synset``, ``plain300``, ``dc``, ``idc``, ``dream``,
            ``tm``, ``dim``, or a plugin's.
        nets: networks per architecture; default: 5.
        seed: of networks, shuffling and augmentation; default: 0.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        runs: folder of all runs, for references to cells.
        **choices: ``eval_epochs``, ``eval_batch``, ``eval_lr``, ``eval_strategy``, ``width`` or ``precision``.

    Returns:
        Per architecture, the accuracy of each network, their mean and std, and the accuracy per class (fractions).

    Raises:
        UserError: an unknown dataset, network, rule or choice, or a set that does not fit the dataset.
    """
    from ddsweep import environment

    environment.set_up()
    from ddsweep import device as devices
    from ddsweep import judging, plugins
    from ddsweep.exchange.image_set import target_dataset
    from ddsweep.exchange.prepare import Choices
    from ddsweep.trackers import Tracker

    plugins.load()
    names = tuple(classes)
    if isinstance(synthetic, str | Path):  # a set that was loaded for a dataset has the names of its classes
        synthetic, names = load_set(synthetic, dataset=dataset, classes=names, space=space, runs=runs), ()
    elif space:
        raise UserError(f"space: {space!r} is for files; this set is loaded, and in a space already")
    own = synthetic
    given = {"eval_archs": arch, "eval_rule": rule, "eval_nets": nets, "seed": seed} | judging.checked(choices)
    target = target_dataset(own.source or "this set", dataset, own.facts)
    chosen = judging.choices_of(own.facts, dataset, {k: v for k, v in given.items() if v is not None})
    job = judging.Job(target, chosen, devices.resolve(device)[0], False)
    prepared, loaded = job.prepare(own.as_image_set(), Path(own.source or "set"), Choices(classes=names))
    for warning in (line for line in prepared.warnings if line not in own.remarks):
        logging.getLogger(__name__).warning("%s: %s", own.source or "set", warning)
    return {judged.arch: judged.evaluation for judged in job.judge(prepared.synthetic, loaded, Tracker())}


def _written(value: Choice | Sequence[Choice]) -> str:
    """Return a value as ``--set`` reads it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return str(value)
    return ",".join(_written(part) for part in value)


def _command_line(*words: str) -> None:
    """Run ``ddsweep WORDS``, passing its output on line by line, as notebooks need it.

    Raises:
        UserError: the exit status is not 0; the message is the last line of the command.
    """
    command = [*processes.command(processes.sees_working_folder()), *words]
    # Jupyter sets these for its kernels, and with them the screen would be redrawn twice a second, line after line
    forced = ("FORCE_COLOR", "CLICOLOR_FORCE", "CLICOLOR")
    environment = {name: value for name, value in os.environ.items() if name not in forced}
    environment |= {"NO_COLOR": "1", "TERM": "dumb", "PYTHONIOENCODING": "utf-8"}
    last = ""
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            for line in process.stdout:
                _pass_on(line)
                last = line.strip() or last
        except KeyboardInterrupt:
            # a terminal sends Ctrl-C to both processes, a notebook to this one only; twice is the same as once
            process.send_signal(2)
            for line in process.stdout:
                _pass_on(line)
            raise
    if process.returncode:
        raise UserError(last.removeprefix("error: ") or f"ddsweep {words[0]} ended with status {process.returncode}")


def _pass_on(line: str) -> None:
    """Print a line of the command, in the characters that this process can print."""
    print(characters.encodable(line, getattr(sys.stdout, "encoding", None) or "utf-8"), end="", flush=True)  # noqa: T201


def _pandas() -> Any:
    try:
        import pandas
    except ImportError:
        raise UserError("pandas: is not installed; pip install 'ddsweep[notebook]'") from None
    return pandas
