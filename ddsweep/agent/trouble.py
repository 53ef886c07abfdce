"""What went wrong with a device, from an exception."""

from __future__ import annotations


def out_of_memory(error: BaseException | None) -> bool:
    """Whether the device's memory was too small for what was on it, behind whatever error."""
    import torch

    while error is not None:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_device_error(error: BaseException) -> bool:
    """CUDA errors and exhausted device memory: their process may not be used again."""
    return out_of_memory(error) or "CUDA error" in str(error)
