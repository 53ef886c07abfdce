"""Checks for authors of plugins: what ddsweep relies on in a method, a dataset and a network, on the CPU in seconds.

In a test of your own::

    from ddsweep.testing import check_method

    def test_my_method() -> None:
        check_method("mtt-lite")

The name is looked up as everywhere: in an installed package, in ``$DDSWEEP_PLUGINS``, or in a module that the test has
imported. What is not as it has to be is an ``AssertionError`` that says so. ddsweep's own parts pass the same checks.
"""

from __future__ import annotations

from ddsweep.testing.dataset import check_dataset as check_dataset
from ddsweep.testing.method import check_method as check_method
from ddsweep.testing.network import check_network as check_network
