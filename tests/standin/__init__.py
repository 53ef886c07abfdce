"""A stand-in for the W&B service, for tests of the real client without account or network.

``with Standin() as server: os.environ.update(server.environment(home))`` and every wandb client talks to it: runs with
scalars, images, tables and artifacts, resuming, syncing, sweeps with agents, the public API. It knows the operations
that the client sends (``accounts``, ``runs``, ``registry``, ``artifacts``), not GraphQL; ``unhandled`` lists unknown
operations. It does not prove how the real service behaves: quotas, early stopping and server-side retries are missing.

To run it manually: ``python -m tests.standin --port 8088``.
"""

from __future__ import annotations

from tests.standin.standin import KEY as KEY
from tests.standin.standin import Standin as Standin
from tests.standin.state import ENTITY as ENTITY
