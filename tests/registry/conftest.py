from tests.data.conftest import rng as rng
from tests.data.conftest import root as root
from tests.data.conftest import tree as tree
