"""The pool of pre-trained models: which a recipe needs (``spec``), their training, and drawing from them (``pool``)."""
