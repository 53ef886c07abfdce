"""A stand-in for the W&B service, for tests of the real client without account or network.

After ``with Standin() as server: os.environ.update(server.environment(home))``, every wandb client connects to it.
Supported are runs with scalars, images, tables and artifacts, resuming, syncing, sweeps with agents, and the public
API. The stand-in recognizes the operations that the client sends by name (``accounts``, ``runs``, ``registry``,
``artifacts``) and does not parse GraphQL; ``unhandled`` lists unknown operations. It does not prove how the real
service behaves: quotas and server-side retries are missing, and ``bayes`` samples at random.

To run it manually: ``python -m tests.standin --port 8088``.
"""

from __future__ import annotations

from tests.standin.standin import KEY as KEY
from tests.standin.standin import Standin as Standin
from tests.standin.state import ENTITY as ENTITY
