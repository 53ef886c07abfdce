"""The pool of pre-trained models (PTMs).

Which a recipe needs (``spec``), their training or the weights that others published (``training``, ``published``), what
is there (``holdings``), what they see of the target (``lens``), and drawing from them (``pool``).
"""
