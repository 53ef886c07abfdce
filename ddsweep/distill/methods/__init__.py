"""The matching losses, one module each: the loop of all methods is ``distill.loop``."""
