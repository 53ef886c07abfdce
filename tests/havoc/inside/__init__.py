"""The folder that goes into the PYTHONPATH of agents, for its ``sitecustomize``."""
