"""A slot: when it saves, what it gives back, and what it refuses."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ddsweep import files
from ddsweep.checkpoints import Checkpoints, Damaged, FileSlot, Interrupted, Slot, State, into_training, of_training
from ddsweep.checkpoints import slot as slots
from ddsweep.errors import UserError
from tests import toys

OWNER = {"key": "0123", "data": "abcd"}
PATH = Path("checkpoint/distill.safetensors")


def state(step: int) -> State:
    return State({"images": torch.full((2, 3), float(step)), "count": torch.tensor(step)}, {"step": step, "loss": 0.1})


def slot(owner: dict[str, str] = OWNER, path: Path = PATH, **when: Any) -> FileSlot:
    return FileSlot(path, owner, Checkpoints(**when))


def step_of(one: State) -> int:
    assert torch.equal(one.tensor("images", torch.zeros(2, 3)), torch.full((2, 3), float(one.facts["step"])))
    assert one.facts["loss"] == 0.1
    return int(one.facts["step"])


def saved(*steps: int) -> FileSlot:
    one = slot()
    for step in steps:
        one.save(state(step))
    return one


def test_the_last_state_comes_back_and_else_nothing() -> None:
    assert slot().resume(step_of) is None
    saved(1, 2, 3)
    assert slot().resume(step_of) == 3
    assert sorted(path.name for path in PATH.parent.iterdir()) == [
        "distill.previous.safetensors",
        "distill.safetensors",
    ]


def test_a_slot_of_no_file_keeps_nothing() -> None:
    none = Slot()
    none.offer(lambda: pytest.fail("was asked for a state"))
    none.save(state(1))
    none.trim()
    assert none.resume(step_of) is None


def test_it_saves_when_it_is_time_and_asks_for_no_state_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now, made, noted = [1000.0], [], []
    monkeypatch.setattr(slots.time, "monotonic", lambda: now[0])
    checkpoints = Checkpoints(saved=lambda: noted.append(now[0]))
    checkpoints._last = now[0]
    both = [FileSlot(Path(f"{name}.safetensors"), OWNER, checkpoints) for name in ("one", "two")]
    for second in range(0, 900, 50):  # two loops, one after the other: their time is the same
        now[0] = 1000.0 + second
        both[second >= 450].offer(lambda: made.append(now[0]) or state(len(made)))  # type: ignore[func-returns-value]
    assert made == noted == [1300.0, 1600.0]
    assert [one.resume(step_of) for one in both] == [1, 2]


def test_who_has_to_leave_saves_first() -> None:
    one = slot(leave=lambda: True)
    with pytest.raises(Interrupted):
        one.offer(lambda: state(7))
    assert slot().resume(step_of) == 7


def test_who_has_to_leave_leaves_though_the_disk_is_full(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> None:
        raise UserError("cannot write: No space left on device")

    saved(1)
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_tensors", full)
        with caplog.at_level(logging.WARNING), pytest.raises(Interrupted):
            slot(leave=lambda: True).offer(lambda: state(2))
        assert "No space left" in caplog.text
        with pytest.raises(UserError, match="No space left"):
            slot(every=0).offer(lambda: state(2))
    assert slot().resume(step_of) == 1  # what was there before is still there


def rewritten(change: Callable[[dict[str, Any], dict[str, str]], object]) -> None:
    """Change tensors or metadata of the last checkpoint, and write it as if nothing were wrong."""
    with safe_open(PATH, "pt") as file:
        said = file.metadata()
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    change(tensors, said)
    save_file(tensors, PATH, said)


def summed(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any], dict[str, str]], None]:
    """The same, with a checksum that fits."""

    def changed(tensors: dict[str, Any], said: dict[str, str]) -> None:
        change(tensors)
        said["sum"] = slots._sum(tensors, said["facts"])

    return changed


DAMAGES: dict[str, Callable[[], object]] = {
    "truncated": lambda: PATH.write_bytes(PATH.read_bytes()[:-4]),
    "header only": lambda: PATH.write_bytes(PATH.read_bytes()[:60]),
    "empty": lambda: PATH.write_bytes(b""),
    "garbage": lambda: PATH.write_bytes(b"\x93NUMPY" * 300),
    "json": lambda: PATH.write_text(json.dumps({"step": 3})),
    "zeros": lambda: PATH.write_bytes(bytes(len(PATH.read_bytes()))),
    "one number": lambda: rewritten(lambda tensors, said: tensors["images"][0].add_(1)),
    "a fact": lambda: rewritten(lambda tensors, said: said.update(facts='{"step": 9, "loss": 0.1}')),
    "no facts": lambda: rewritten(lambda tensors, said: [said.pop("facts"), said.pop("sum")]),
    "a tensor missing": lambda: rewritten(summed(lambda tensors: tensors.pop("images"))),
    "a tensor of another shape": lambda: rewritten(summed(lambda tensors: tensors.update(images=torch.ones(3, 3)))),
    "a tensor of another type": lambda: rewritten(
        summed(lambda tensors: tensors.update(images=tensors["images"].double()))
    ),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    damage: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    saved(2, 3)
    damage()
    before = PATH.read_bytes()
    with caplog.at_level(logging.WARNING):
        assert slot().resume(step_of) == 2
    (warning,) = caplog.messages
    assert "\n" not in warning
    assert "distill.safetensors was renamed to distill.damaged: " in warning
    assert PATH.with_suffix(".damaged").read_bytes() == before
    saved(4)
    assert slot().resume(step_of) == 4


FOREIGN = {
    "recipe": {**OWNER, "key": "9999"},
    "data": {**OWNER, "data": "9999"},
    "what is not named": {**OWNER, "judged": "1"},
}


@pytest.mark.parametrize("owner", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_checkpoint_is_set_aside(owner: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    saved(2, 3)
    with caplog.at_level(logging.WARNING):
        assert slot(owner).resume(step_of) is None
    assert [path.name for path in sorted(PATH.parent.iterdir())] == ["distill.foreign", "distill.previous.foreign"]
    assert len(caplog.messages) == 2


def test_another_phase_and_another_format_are_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    saved(2, 3)
    PATH.rename(PATH.with_name("evaluate.safetensors"))
    assert slot(path=PATH.with_name("evaluate.safetensors")).resume(step_of) is None
    assert PATH.with_name("evaluate.foreign").exists()
    monkeypatch.setattr(slots, "FORMAT", "0")
    assert slot().resume(step_of) is None
    assert PATH.with_name("distill.previous.foreign").exists()


def test_a_state_that_is_not_wanted_stays_and_the_one_before_is_used() -> None:
    saved(2, 3)
    assert slot().resume(lambda one: step_of(one) if one.facts["step"] < 3 else None) == 2
    assert PATH.exists()


def test_killed_between_write_and_rename(monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary file of a process that is gone: not read, and removed by the next; those of others stay."""
    saved(2)
    for name in (".distill.safetensors.0a1b2c3d.tmp.safetensors", ".other.safetensors.0a1b2c3d.tmp.safetensors"):
        (PATH.parent / name).write_bytes(PATH.read_bytes()[:50])
    assert slot().resume(step_of) == 2
    assert [path.name for path in PATH.parent.glob(".*")] == [".other.safetensors.0a1b2c3d.tmp.safetensors"]


@pytest.mark.parametrize("moment", ["before the file is written", "before it is renamed"])
def test_killed_while_saving(monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    one = saved(1, 2)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    owner, name = (files, "write_tensors") if "written" in moment else (files.os, "fsync")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(owner, name, killed)
        one.save(state(3))
    assert slot().resume(step_of) == 2


def test_a_training_comes_back_to_the_bit() -> None:
    def step(net: toys.Net, optimizer: torch.optim.SGD, generator: torch.Generator) -> None:
        images = torch.randn(4, 3, 8, 8, generator=generator, dtype=torch.float64)
        optimizer.zero_grad()
        net(images).square().sum().backward()
        optimizer.step()

    def fresh(seed: int) -> tuple[toys.Net, torch.optim.SGD, torch.Generator]:
        net = toys.Net(norm="batch", seed=seed)
        return net, torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9), torch.Generator().manual_seed(seed)

    first, second = fresh(1), fresh(2)
    step(*first)
    slot().save(State(of_training(*first), {}))
    assert slot().resume(lambda one: into_training(one, *second) or True)  # type: ignore[func-returns-value]
    step(*first)
    step(*second)
    for ours, theirs in zip(first[0].state_dict().values(), second[0].state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_training_that_does_not_fit_changes_nothing() -> None:
    net, generator = toys.Net(), torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    net(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    optimizer.step()
    whole = of_training(net, optimizer, generator)
    before = {name: value.clone() for name, value in whole.items()}
    for name in whole:
        other = {key: value + 1 for key, value in whole.items() if key != name}
        with pytest.raises(Damaged, match=f"it has no {name}"):
            into_training(State(other, {}), net, optimizer, generator)
        assert all(torch.equal(before[key], value) for key, value in of_training(net, optimizer, generator).items())
