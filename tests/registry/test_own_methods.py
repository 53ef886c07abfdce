"""The decorator of methods: what it reads from signatures, and what it refuses."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from ddsweep.errors import UserError
from ddsweep.recipe import Recipe, make
from ddsweep.registry.methods import INITS, METHODS, SHARED, TAKEN
from tests.plugins.plugged import HALF, Plug, plug

__all__ = ["plug"]
METHOD = """
import ddsweep

def make_set(dataset, net, streams, *, ipc, init, factor=3, blur=0.5):
    pass

@ddsweep.method("mine", alpha=1.0, {arguments})
class Mine:
    def __init__(self, net, *, {parameters}):
        pass

    def episode(self, learned, dataset, streams, done=0):
        yield
"""


def written(parameters: str = "rate=0.5", arguments: str = "") -> str:
    return METHOD.format(parameters=parameters, arguments=arguments)


def test_the_shared_fields_are_fields_of_every_recipe() -> None:
    assert set(SHARED) <= Recipe.model_fields.keys()
    assert not set(SHARED) & TAKEN.keys()
    assert get_args(Recipe.model_fields["init"].annotation) == INITS


def test_a_method_takes_what_its_set_takes(plug: Plug) -> None:
    plug(mine=written("batch_real, ipc, rate=0.5, blur=0.5", "learned=make_set, about='grids', per_class=True"))
    row = METHODS["mine"]
    assert row.takes == ("batch_real", "factor")
    assert row.options == {"rate": 0.5, "blur": 0.5}
    one = make({"method": "mine", "target": "digits", "ipc": 1, "options": "blur:0.25"})
    assert (one.factor, one.options, one.outer_loops) == (3, "blur:0.25+rate:0.5", 1)
    assert "grids" in one.about_images
    assert row.steps(1, 10) == 10


def test_a_method_with_experts_has_the_fields_of_their_training(plug: Plug) -> None:
    plug(mine=written("experts, syn_steps=4", "n_experts=3, expert_train_epochs=30"))
    row = METHODS["mine"]
    fields = ("n_experts", "expert_train_epochs", "expert_epochs", "max_start_epoch", "dsa_strategy")
    assert row.takes == ("experts", "syn_steps", *fields)
    assert row.trains == METHODS["tm"].trains
    one = make({"method": "mine", "target": "cifar10", "ipc": 10, "alpha": 0})
    published = make({"method": "tm", "target": "cifar10", "ipc": 10, "alpha": 0})
    assert (one.n_experts, one.expert_train_epochs, one.syn_steps, one.lr_teacher) == (3, 30, 4, 0)
    assert (one.expert_epochs, one.max_start_epoch) == (published.expert_epochs, published.max_start_epoch)
    with pytest.raises(UserError, match=r"^max_start_epoch: 20 with expert_epochs 2 needs 21 epochs"):
        make({"method": "mine", "target": "cifar10", "ipc": 10, "alpha": 0, "expert_train_epochs": 20})


def test_the_first_initial_images_of_a_set_are_the_default(plug: Plug) -> None:
    plug(mine=written(arguments="inits=('noise',)"))
    assert make({"method": "mine", "target": "digits", "ipc": 1}).init == "noise"
    with pytest.raises(UserError, match=r"^init: real is not supported by mine \(allowed: noise\)$"):
        make({"method": "mine", "target": "digits", "ipc": 1, "init": "real"})


def test_only_a_method_that_learns_a_rate_is_evaluated_at_it(plug: Plug) -> None:
    plug(mine=written(arguments="learns_lr=True, eval_rule='tm'"), other=written().replace('"mine"', '"other"'))
    chosen = {"target": "digits", "ipc": 1}
    assert make({"method": "mine", **chosen}).eval_lr == 0
    with pytest.raises(
        UserError, match=r"^eval_lr: other learns no learning rate for networks on its set; set eval_lr"
    ):
        make({"method": "other", **chosen, "eval_rule": "tm"})


@pytest.mark.parametrize(
    ("parameters", "arguments", "line"),
    [
        ("ipc=3", "", "ipc is a recipe field; leave out its default, or rename the option"),
        ("factor", "", "takes factor, a recipe field without a common default; give it one"),
        ("n_experts=3", "", "takes n_experts without experts"),
        ("rate", "", "takes rate, which has no default and is not a field; "),
        ("rate=[1]", "", "the default of rate is not a number, string or boolean"),
        ("blur=0.25", "learned=make_set", "the option blur has the default 0.25 in the method and 0.5 in its set"),
        ("rate=1", "learned=lambda dataset: 0", "must take the dataset, the network, the streams first"),
        ("rate=1", "perclass=True", "has a default for perclass; did you mean per_class?"),
        ("rate=1", "inits=('nois',)", "inits: unknown value 'nois'; did you mean noise?"),
        ("rate=1", "inits=('noise',), init='real'", "its default init 'real' is not in inits (noise)"),
        ("rate=1", "trains={'teacher': print}", "trains teacher, which no signature takes"),
        ("ipc", "trains={'ipc': print}", "trains ipc, which is a recipe field; choose another name"),
    ],
)
def test_a_row_that_contradicts_itself(parameters: str, arguments: str, line: str, plug: Plug) -> None:
    path = plug(mine=written(parameters, arguments))
    with pytest.raises(UserError, match=rf"^plugins: {path}: method 'mine': .*{re.escape(line)}"):
        METHODS["mine"]


@pytest.mark.parametrize(("kept", "missing"), [("state", "restore"), ("restore", "state")])
def test_what_is_saved_is_restored(kept: str, missing: str, plug: Plug) -> None:
    plug(mine=HALF.rstrip() + f"\n\n    def {kept}(self, *state):\n        return None\n")
    with pytest.raises(UserError, match=rf"method 'half': .* has {kept}\(\) without {missing}\(\)"):
        METHODS["half"]
