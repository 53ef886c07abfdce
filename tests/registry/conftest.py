from tests.data.conftest import root as root
