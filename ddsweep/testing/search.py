"""What every queue does with a search: points are drawn when an agent asks, and are then points like any other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

import yaml

from ddsweep import sweep
from ddsweep.backends import Claim, Definition, Queue, Registered, State
from ddsweep.sweep import Sweep
from ddsweep.testing.backend import in_threads

BAYES: dict[str, Any] = {"method": "bayes", "run_cap": 6}
EARLY = {"type": "hyperband", "max_iter": 4, "s": 2, "eta": 2}


class Sweeps(Protocol):
    """A store as far as these tests need it."""

    def sweep(self, name: str) -> Queue: ...

    def load_definition(self, name: str) -> Definition: ...


def searched(axes: dict[str, Any] | None = None, extra: dict[str, Any] | None = None, **changes: Any) -> Sweep:
    """A search for α from 1 to 10,000 with a baseline."""
    alpha = {"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 10000}}
    document = {
        "method": "random", "run_cap": 4, "parameters": axes or alpha,
        "x-ddsweep": {"axis": list(axes or alpha)[:1], "baseline": {"alpha": 0}} | (extra or {}),
    } | changes  # fmt: skip
    Path("search.yaml").write_text(yaml.safe_dump(document))
    return sweep.load("search.yaml", "demo")


def peak(alpha: float) -> float:
    """Best at α = 100."""
    return 0.9 - 0.01 * (math.log10(alpha + 1) - 2) ** 2


def restored(store: Sweeps, name: str) -> Sweep:
    """The sweep as another machine reads it."""
    definition = store.load_definition(name)
    return Sweep.from_definition(definition.definition).with_points(point.params for point in definition.points)


def run(queue: Queue, agent: str = "gpu0", body: Callable[[Claim], object] | None = None) -> list[float]:
    """Claim and complete until nothing is left; the alphas in their order."""
    order = []
    while (claim := queue.claim(agent)) is not None:
        alpha = float(cast(float, claim.point.params.get("alpha", 0)))
        with claim:
            order.append(alpha)
            body(claim) if body else claim.complete(peak(alpha), {"accuracy": peak(alpha)})
    return order


class SearchContract:
    """Part of ``QueueContract``: every storage draws alike."""

    def start(self, store: Sweeps, one: Sweep) -> Queue:
        queue = store.sweep(one.full_name)
        queue.register(Definition.of(one))
        return queue

    def test_points_are_drawn_until_the_cap(self, store: Sweeps) -> None:
        one = searched()
        queue = store.sweep(one.full_name)
        assert queue.register(Definition.of(one)) == Registered(added=5, kept=0, withdrawn=0)
        status = queue.status()
        assert (len(status.rows), status.to_draw, status.size, queue.drained()) == (1, 4, 5, False)
        order = run(queue)
        assert order[0] == 0.0, "the baseline comes first"
        assert len(set(order)) == 5
        assert all(1 <= alpha <= 10000 for alpha in order[1:])
        assert queue.drained()
        assert [row.value for row in queue.status().rows] == [peak(alpha) for alpha in order]

    def test_a_random_search_has_the_same_points_wherever_it_is_run(self, store: Sweeps) -> None:
        assert run(self.start(store, searched())) == [0.0, *FIRST]
        other = searched(axes={**searched().definition()["search"]["ranges"], "seed": {"value": 1}})
        assert not set(run(self.start(store, other))) & set(FIRST), "another seed, other points"

    def test_a_bayesian_search_has_the_same_points_when_it_finds_the_same(self, store: Sweeps) -> None:
        order = run(self.start(store, searched(**BAYES | {"run_cap": 12})))
        assert order == [0.0, *BAYESIAN]
        tried = [abs(math.log10(alpha) - 2) for alpha in order[1:]]
        assert sum(tried[4:]) / 8 < sum(tried[:4]) / 4, "it looks where it was good"

    def test_a_larger_cap_adds_and_the_same_adds_nothing(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        first = run(queue)
        assert queue.register(Definition.of(searched())) == Registered(added=0, kept=5, withdrawn=0)
        assert queue.drained()
        assert queue.register(Definition.of(searched(run_cap=6))) == Registered(added=2, kept=5, withdrawn=0)
        assert (queue.drained(), len(run(queue))) == (False, 2)
        assert [row.point.params["alpha"] for row in queue.status().rows][:5] == first

    def test_other_ranges_keep_every_result_and_count_what_lies_in_them(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        first = run(queue)
        narrow = searched(axes={"alpha": {"distribution": "log_uniform_values", "min": 1, "max": 100}})
        inside = [alpha for alpha in first if alpha <= 100]
        assert 1 < len(inside) < 5
        changed = queue.register(Definition.of(narrow))
        assert (changed.kept, changed.earlier) == (len(inside), 5 - len(inside))
        ran = run(queue)
        assert len(ran) == 5 - len(inside), "run_cap counts the points in the range"
        assert all(1 <= alpha <= 100 for alpha in ran)
        rows = queue.status().rows
        assert {row.point.params["alpha"]: row.value for row in rows} == {one: peak(one) for one in {*first, *ran}}
        assert queue.register(Definition.of(searched())).earlier == 0, "all of them lie in the old range"

    def test_another_experiment_begins_anew_beside_the_first(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        order = run(queue)
        other = searched(axes={**searched().definition()["search"]["ranges"], "eval_lr": {"value": 0.02}})
        assert queue.register(Definition.of(other)) == Registered(added=5, kept=0, withdrawn=0, earlier=5)
        assert run(queue) == order, "drawn as before, computed again"
        joined = restored(store, other.full_name)
        assert set(joined.swept) == {"alpha", "eval_lr"}
        assert {(cell.recipe.alpha, cell.recipe.eval_lr) for cell in joined.cells} == {
            (alpha, rate) for alpha in order for rate in (0.01, 0.02)
        }

    def test_a_search_may_become_a_grid_and_a_search_again(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        order = run(queue)
        grid = searched(method="grid", run_cap=None, axes={"alpha": {"values": [0, 5]}})
        assert queue.register(Definition.of(grid)) == Registered(added=1, kept=1, withdrawn=0, earlier=4)
        assert run(queue) == [5.0]
        assert {cell.recipe.alpha for cell in restored(store, grid.full_name).cells} == {*order, 5.0}
        again = queue.register(Definition.of(searched()))
        assert again.earlier + again.kept == 6
        run(queue)
        assert queue.drained()
        found = {cell.recipe.alpha for cell in restored(store, grid.full_name).cells}
        assert found > {*order, 5.0}
        assert found == {row.point.params["alpha"] for row in queue.status().rows if row.state is State.COMPLETE}

    def test_seeds_are_replicates_of_every_point(self, store: Sweeps) -> None:
        one = searched(axes=SEEDS)
        queue = store.sweep(one.full_name)
        assert queue.register(Definition.of(one)) == Registered(added=15, kept=0, withdrawn=0)
        assert one.size == queue.status().size == 15
        ran: list[tuple[float, int]] = []

        def body(claim: Claim) -> None:
            ran.append((cast(float, claim.point.params["alpha"]), cast(int, claim.point.params["seed"])))
            claim.complete(0.5)

        run(queue, body=body)
        assert ran == [(alpha, seed) for alpha in (0.0, *FIRST) for seed in (0, 1, 2)], "the points of one seed"
        assert queue.drained()
        assert len({row.point.key for row in queue.status().rows}) == 15

    def test_the_mean_over_the_seeds_leads_the_search(self, store: Sweeps) -> None:
        """With values that differ by seed and have the same mean as with one seed, the points are the same."""
        queue, order = self.start(store, searched(axes=SEEDS, **BAYES | {"run_cap": 12})), []

        def body(claim: Claim) -> None:
            alpha, seed = cast(float, claim.point.params["alpha"]), cast(int, claim.point.params["seed"])
            order.append(alpha)
            claim.complete(peak(alpha) + 0.25 * (seed - 1))

        run(queue, body=body)
        assert list(dict.fromkeys(order)) == [0.0, *BAYESIAN]

    def test_more_seeds_are_added_to_the_points_of_before(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        first = run(queue)
        more = searched(axes=SEEDS)
        assert queue.register(Definition.of(more)) == Registered(added=10, kept=5, withdrawn=0)
        assert sorted(run(queue)) == sorted(2 * first)
        assert queue.drained()
        fewer = queue.register(Definition.of(searched()))
        assert (fewer.added, fewer.kept, fewer.earlier) == (0, 5, 10), "no number leaves the table"
        assert queue.drained()
        assert len(restored(store, more.full_name).cells) == 15

    def test_a_search_of_before_samples_its_seeds_as_it_did(self, store: Sweeps) -> None:
        new = searched(axes=SEEDS)
        assert new.search is not None
        old = replace(new, search=replace(new.search, replicates=False))
        assert "replicates" not in old.definition()["search"]
        queue = self.start(store, old)
        run(queue)
        rows = queue.status().rows
        assert len(rows) == 7, "three baselines, and four points with a seed each"
        assert {row.point.key for row in rows} == {cell.key for cell in restored(store, old.full_name).cells}
        joined = queue.register(Definition.of(new))
        assert (joined.kept, joined.earlier) == (7, 0)
        run(queue)
        assert queue.drained()
        assert len(queue.status().rows) == 15, "each of the four points gets its other seeds"

    def test_a_lost_point_is_run_again_as_it_was(self, store: Sweeps) -> None:
        queue = self.start(store, searched())
        run(queue, body=lambda claim: claim.fail("the disk was full"))
        failed = [row.point for row in queue.status().rows]
        assert len(failed) == 5
        queue.reconcile()
        again = []
        run(queue, body=lambda claim: again.append(claim.point) or claim.complete(0.5))  # type: ignore[func-returns-value]
        assert again == failed
        assert queue.drained()

    def test_agents_that_ask_together_draw_each_point_once(self, store: Sweeps) -> None:
        queue, ran = self.start(store, searched(**BAYES | {"run_cap": 9})), list[float]()
        in_threads(lambda name: ran.extend(run(queue, name)), 4)
        assert len(ran) == len(set(ran)) == 10
        assert queue.status().count(State.COMPLETE) == 10

    def test_a_space_that_is_used_up_ends_the_search(self, store: Sweeps) -> None:
        axes = {"alpha": {"values": [1, 10]}, "width": {"min": 4, "max": 6}}
        queue = self.start(store, searched(axes=axes, run_cap=50, extra={"axis": ["alpha"], "baseline": {}}))
        run(queue, body=lambda claim: claim.complete(0.5))
        rows = queue.status().rows
        assert {(row.point.params["alpha"], row.point.params["width"]) for row in rows} == {
            (alpha, width) for alpha in (1, 10) for width in (4, 5, 6)
        }
        assert (queue.drained(), queue.status().size) == (True, 6)

    def test_choices_that_make_no_recipe_are_a_point_that_fails(self, store: Sweeps) -> None:
        axes = {"ptm_train_epochs": {"min": 5, "max": 30}, "ptm_epoch": {"values": [1, 20]}, "alpha": {"value": 5}}
        extra = {"baseline": {}, "profiles": {"demo": {"ptm_epoch": [1, 20]}}}
        queue = self.start(store, searched(axes=axes, run_cap=8, extra=extra))
        invalid = "invalid-"

        def body(claim: Claim) -> None:
            if claim.point.key.startswith(invalid):
                claim.fail("no recipe", final=True)
            else:
                claim.complete(0.5)

        run(queue, body=body)
        rows = queue.status().rows
        chosen = [
            (cast(int, row.point.params["ptm_epoch"]), cast(int, row.point.params["ptm_train_epochs"])) for row in rows
        ]
        assert len(set(chosen)) == 8
        assert [row.state for row in rows] == [
            State.COMPLETE if epoch <= epochs else State.FAILED for epoch, epochs in chosen
        ]
        assert {row.state for row in rows} == {State.COMPLETE, State.FAILED}
        assert queue.drained()

    def test_what_is_worse_at_a_band_is_pruned_and_not_tried_again(self, store: Sweeps) -> None:
        queue = self.start(store, searched(**BAYES, early_terminate=EARLY))

        def body(claim: Claim) -> None:
            alpha = float(cast(float, claim.point.params["alpha"]))
            for step in (25, 50):
                if alpha and not claim.report(step, peak(alpha) - 0.1):
                    claim.prune(step, peak(alpha) - 0.1)
                    return
            claim.complete(peak(alpha))

        order = run(queue, body=body)
        rows = queue.status().rows
        pruned = [row for row in rows if row.state is State.PRUNED]
        assert len(order) == len(rows) == 7
        assert 0 < len(pruned) < 6
        assert queue.drained()
        assert {(row.value, row.attempts) for row in pruned} == {(None, 1)}
        assert pruned[0].reason.startswith("pruned at step 25 with accuracy ")
        assert max(peak(float(cast(float, row.point.params["alpha"]))) for row in pruned) < max(
            row.value or 0.0 for row in rows
        )
        queue.reconcile()
        assert queue.register(Definition.of(searched(**BAYES, early_terminate=EARLY))).added == 0
        assert queue.claim("gpu0") is None
        assert queue.status().counts[State.PRUNED] == len(pruned)

    def test_a_look_that_is_told_twice_counts_once(self, store: Sweeps) -> None:
        queue = self.start(store, searched(early_terminate=EARLY))
        base = queue.claim("gpu0")
        first, second = queue.claim("gpu1"), queue.claim("gpu2")
        assert base is not None and first is not None and second is not None
        assert [first.report(25, 0.5), first.report(25, 0.5), second.report(25, 0.4), first.report(50, 0.6)] == [
            True, True, False, True,
        ]  # fmt: skip
        assert second.prune(25, 0.4)
        assert second.complete(0.9) is False, "it has been answered"

    def test_several_objectives_are_told_by_their_names(self, store: Sweeps) -> None:
        axes = {**searched().definition()["search"]["ranges"], "eval_archs": {"value": "convnet3+alexnet"}}
        names = ["accuracy/convnet3", "accuracy/alexnet"]
        queue = self.start(store, searched(axes=axes, extra={"objectives": names}, **BAYES))

        def body(claim: Claim) -> None:
            alpha = float(cast(float, claim.point.params["alpha"]))
            claim.complete(peak(alpha), dict(zip(names, (peak(alpha), 1 - peak(alpha)), strict=True)))

        assert len(run(queue, body=body)) == 7
        assert all(row.attributes["accuracy/alexnet"] == 1 - (row.value or 0) for row in queue.status().rows)


SEEDS = {
    "alpha": {"distribution": "log_uniform_values", "min": 1, "max": 10000},
    "seed": {"values": [0, 1, 2]},
}
FIRST = [1405.0, 17.61, 3633.0, 2932.0]
BAYESIAN = [1405.0, 17.61, 3633.0, 2932.0, 2.643, 1.43, 106.0, 129.4, 297.5, 30.31, 439.6, 73.46]
