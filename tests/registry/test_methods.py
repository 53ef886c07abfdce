"""The table of methods."""

from __future__ import annotations

import inspect

import pytest

from ddsweep.plugins import resolve
from ddsweep.registry.methods import METHODS, PROVIDED, TAKEN, Method
from ddsweep.registry.own_methods import signature


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS.code(name) is None])
def test_the_rows_agree_with_the_signatures_of_the_losses_and_their_sets(name: str) -> None:
    """The rows are read without torch, so they repeat the signatures."""
    row: Method = METHODS[name]
    takes, options, defaulted = signature(name, resolve(row.source))
    by_set = {one for one in inspect.signature(resolve(row.learned)).parameters if one in (*TAKEN, *PROVIDED)}
    trained = {
        "tm": {"zca", "n_experts", "expert_train_epochs"},
        "dim": {"gan_epochs", "gan_batch", "gan_lr", "gan_width"},
    }
    elsewhere = trained.get(name, set())  # what the dataset's view and the training before need
    assert {*takes, *by_set} - set(defaulted) <= set(row.takes) - elsewhere <= {*takes, *by_set}
    assert options == row.options == {}
