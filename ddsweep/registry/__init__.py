"""The tables of methods, networks and datasets: facts about each by name, read without torch.

``methods``, ``networks`` and ``datasets`` each hold one ``plugins.Registry``; a row names the function that does the
work. The control plane reads these tables, so importing them must stay cheap. ``image_folders`` finds the classes and
splits of ``imagefolder:PATH``.
"""
