"""The figures of a sweep, for screens and for print: one module per figure; ``style`` has what they share.

A new figure is a module here and an entry in ``gallery``; its name is added to ``sweep.document.Picture``, which allows
it in sweep files, and to ``HEADS`` in ``cli.session``, which prints its path.
"""
