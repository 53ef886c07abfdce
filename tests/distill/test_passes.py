from __future__ import annotations

import pytest
import torch

from ddsweep.distill.methods.passes import Passes


@pytest.mark.parametrize(
    ("count", "batch", "drop_last", "sizes"),
    [
        (10, 4, True, [4, 4]),
        (10, 4, False, [4, 4, 2]),
        (8, 4, True, [4, 4]),
        (8, 4, False, [4, 4]),
        (3, 64, True, [3]),  # fewer items than a batch
        (3, 64, False, [3]),
    ],
)
def test_a_pass_has_distinct_items_in_a_new_order(count: int, batch: int, drop_last: bool, sizes: list[int]) -> None:
    passes, generator, seen = Passes(batch, drop_last=drop_last), torch.Generator().manual_seed(1), set()
    for _ in range(20):
        batches = [passes.draw(count, generator) for _ in sizes]
        assert [len(one) for one in batches] == sizes
        items = torch.cat(batches).tolist()
        assert len(set(items)) == len(items)
        assert set(items) <= set(range(count))
        assert drop_last or len(items) == count
        seen.add(tuple(items))
    assert len(seen) > 3


def test_a_pass_goes_on_where_it_stopped() -> None:
    whole, generator = Passes(3, drop_last=True), torch.Generator().manual_seed(2)
    expected = [whole.draw(10, generator).tolist() for _ in range(9)]
    for stop in range(9):
        first, generator = Passes(3, drop_last=True), torch.Generator().manual_seed(2)
        found = [first.draw(10, generator).tolist() for _ in range(stop)]
        second = Passes(3, drop_last=True)
        second.restore(first.state())
        assert found + [second.draw(10, generator).tolist() for _ in range(9 - stop)] == expected
