"""Biased datasets (Biased-DD): attributes, colors, corruptions, and the files of the paper's authors."""
