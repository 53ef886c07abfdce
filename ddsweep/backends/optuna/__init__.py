"""The Optuna backend: one study per sweep, one Optuna trial per attempt, on SQLite or PostgreSQL.

``backend`` implements the protocols of ``ddsweep.backends``; ``grid`` reads and writes a study's points and attempts;
``claims`` is every change of a claimed attempt (claim, heartbeat, complete, fail, release, expire), each one SQL
statement that checks the lease; ``database`` opens a storage and retries what a short outage interrupted; ``agents``
lists who works on a study; ``artifacts``, ``notes`` and ``dashboard`` are what optuna-dashboard shows.
"""
