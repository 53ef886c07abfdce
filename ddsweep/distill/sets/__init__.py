"""What a distillation learns: parameters from which a synthetic set is decoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from ddsweep.nn import optimizers

if TYPE_CHECKING:
    from ddsweep.distill.synthetic import Synthetic

MOMENTUM = 0.5  # of every optimizer of pixels (protocols of DC, DSA, DM, IDC, DREAM, TM)


class LearnedSet(ABC):
    """Parameters, and how images and labels are decoded from them.

    The parameters of DC, DSA and DM are the pixels themselves (``sets.pixels``), the simplest case.

    Attributes:
        kind: the name of the parametrization, stored with the set; default: the name of the class.
        about: how the images come from what is learned, as a phrase for captions; empty if they are what is learned.
    """

    kind: ClassVar[str]
    about: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" not in cls.__dict__:
            cls.kind = cls.__name__

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The tensors that are optimized, by name, in a fixed order; during a distillation they require a gradient."""

    @abstractmethod
    def decode(self) -> Synthetic:
        """The synthetic set, in the normalized space of its dataset; gradients flow to ``parameters``."""

    def optimizer(self, lr: float) -> torch.optim.Optimizer:
        """A new optimizer of the parameters: SGD with momentum 0.5 and the learning rate ``lr_img``."""
        return optimizers.SGD(list(self.parameters().values()), lr=lr, momentum=MOMENTUM)

    def begin_iteration(self) -> None:
        """Called before each outer iteration, for example to clamp the parameters; by default nothing."""
        return

    def state(self) -> dict[str, Tensor]:
        """Everything that ``decode`` depends on, for checkpoints and the file of the set; by default, parameters."""
        return self.parameters()

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy the tensors of ``state()`` back, in place; they have the same names, shapes and dtypes."""
        with torch.no_grad():
            for name, own in self.state().items():
                own.copy_(tensors[name])

    def facts(self) -> dict[str, str]:
        """What a reader of ``state()`` has to know besides the tensors; stored with the set."""
        return {}
