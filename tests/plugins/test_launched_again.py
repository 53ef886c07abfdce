"""A sweep with a plugin is launched again after the plugin was edited."""

from __future__ import annotations

from ddsweep import sweep
from ddsweep.backends import Definition, Registered
from ddsweep.backends.memory import MemoryStore
from ddsweep.recipe import verify
from ddsweep.sweep import Sweep
from tests.plugins.plugged import HALF, Plug, forget, plug

__all__ = ["plug"]


def load(*alphas: float) -> Sweep:
    return sweep.load("ablation-alpha", "demo", {"method": "half", "alpha": list(alphas)})


def test_finished_cells_of_the_old_code_give_way_to_those_of_the_new(plug: Plug) -> None:
    plug(mine=HALF)
    old = load(0, 1, 10)
    queue = MemoryStore().sweep(old.full_name)
    queue.register(Definition.of(old))
    while (claim := queue.claim("gpu0")) is not None:
        claim.complete(0.5)
    plug(mine=HALF.replace("self.rate *", "2 * self.rate *"))
    forget("mine")
    new = load(0, 10)
    assert new.fixed["plugins"] != old.fixed["plugins"]
    changed = queue.register(Definition.of(new))
    assert changed == Registered(added=2, kept=0, withdrawn=0, earlier=1, newer=2)
    joined = Sweep.from_definition(queue._store.load_definition(old.full_name).definition)
    assert sorted((cell.recipe.alpha, cell.recipe.plugins == new.fixed["plugins"]) for cell in joined.cells) == [
        (0.0, True), (1.0, False), (10.0, True),
    ]  # fmt: skip
    assert set(joined.swept) == {"alpha", "plugins"}, "a row says that the code differs"
    verify(joined.launched.recipes)  # agents have the new code only
