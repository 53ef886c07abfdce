"""Distillation: matching losses, the guidance of pre-trained models, and the loop that combines them."""
