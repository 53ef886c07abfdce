"""Results of trials, and what is made of them: ``tables``, ``plots``, and their transfer between hosts.

For users, ``ddsweep.results("NAME@PROFILE")`` is also a function: see ``ddsweep.api.results``.
"""
