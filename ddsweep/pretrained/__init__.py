"""The pool of pre-trained models (PTMs).

``spec``: which PTMs a recipe needs. ``training``: their training. ``published``: weights of foundation models.
``inventory``: the contents of the pool. ``renormalize``: the input of a PTM of another domain. ``pool``: drawing a PTM
per step, and the features of real images.
"""
