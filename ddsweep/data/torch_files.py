"""Files of ``torch.save``, read without executing code in them."""

from __future__ import annotations

import errno
import pickle
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ddsweep.errors import UserError


def read(path: Path, allowed: Sequence[Any] = ()) -> Any:
    """Return the saved object: tensors, and plain data that contain them.

    Args:
        path: the file.
        allowed: further names that the file may have, with what stands for them (``torch.serialization.safe_globals``).

    Raises:
        UserError: the file cannot be read, is damaged, or has code to execute.
    """
    try:
        with torch.serialization.safe_globals(list(allowed)):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        if named is None:
            raise UserError(f"{path}: is damaged, or not a file of torch.save") from None
        fix = "if you trust it, load it and torch.save only the tensors, as images.pt and labels.pt"
        raise UserError(f"{path}: has a {named[1]}, and reading that could execute code; {fix}") from None
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise almost anything inside torch
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which it raises for a file that was cut
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
        raise UserError(f"{path}: is damaged, or not a file of torch.save") from None
