"""Tables of results: ``table`` builds one from a sweep's finished cells, ``comparison`` puts other numbers beside it,
``layout`` arranges cells as text for ``terminal``, ``latex`` and ``formats``; ``significance`` tests differences.
"""
