"""Every evaluation rule keeps its contract, and what does not is found out."""

from __future__ import annotations

import pytest

from ddsweep.registry.rules import RULES
from ddsweep.testing import check_evaluation
from tests.docs.extending import EXAMPLES
from tests.evaluate.test_own import FORM, SGD
from tests.plugins.plugged import Plug, plug

__all__ = ["plug"]


@pytest.mark.parametrize("name", list(RULES))
def test_every_rule(name: str) -> None:
    check_evaluation(name)


@pytest.mark.parametrize("name", ["adamw", "cutmix"])
def test_the_examples_of_the_page(name: str, plug: Plug) -> None:
    plug(**{name: EXAMPLES[name]})
    check_evaluation(name)


@pytest.mark.parametrize(
    ("good", "bad", "line"),
    [
        ("plain", "plain", ""),
        ("one.data -= lr * slope", "slope * 2", "does not change the network"),
        ("one.data -= lr", "one.data -= 1e39 * lr", "makes weights that are inf or nan"),
        ("        progress(epoch + 1)\n", "", "reports the epochs [2] of 2 to progress, not [1, 2]"),
        (
            "generator=generator",
            "generator=torch.Generator().manual_seed(len(CALLS))",
            "gives a network another accuracy",
        ),
        ("torch.randperm(len(synthetic.labels), generator=generator)", "torch.randperm(len(synthetic.labels))", ""),
        ("    CALLS", "    dataset.images[0] *= 2\n    CALLS", "changes the images or labels of the dataset"),
        (
            "net(synthetic.images[index]), synthetic.labels[index]",
            "net(dataset.images[index]), dataset.labels[index]",
            "gives the same weights for every synthetic set",
        ),
        (
            "    CALLS",
            "    [one.data.fill_(0.1) for one in net.parameters()]\n    generator.manual_seed(1)\n    CALLS",
            "gives the same weights for every initial network",
        ),
    ],
)
def test_a_broken_rule_is_found_out(good: str, bad: str, line: str, plug: Plug) -> None:
    plug(mine=SGD.replace(good, bad))
    if not line:
        check_evaluation("plain")
        return
    with pytest.raises(AssertionError) as error:
        check_evaluation("plain")
    assert str(error.value).startswith("evaluation 'plain': ")
    assert line in str(error.value)


def test_a_form_is_checked_too(plug: Plug) -> None:
    plug(mine=FORM)
    check_evaluation("form")
