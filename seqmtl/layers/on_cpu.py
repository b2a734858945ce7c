"""Modules of torch in their faster form on a CPU."""

from torch import Tensor, nn

from seqmtl.kernels.dropout import dropout
from seqmtl.kernels.linear import linear


class Linear(nn.Linear):
    """``nn.Linear``, of float32 on a CPU by the faster library."""

    def forward(self, input: Tensor) -> Tensor:
        """``[..., I]`` to ``[..., O]``."""
        return linear(input, self.weight, self.bias)


class Dropout(nn.Dropout):
    """``nn.Dropout``, of float32 on a CPU with fewer random numbers."""

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return dropout(input, self.p, self.training, self.inplace)


FORMS: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: Linear, nn.Dropout: Dropout}


def faster_on_cpu(model: nn.Module) -> None:
    """Give the linear maps and dropouts of ``model``, whoever wrote it, their faster form.

    They stay what they are: same parameters, names and options. Subclasses may compute otherwise and are left alone.
    """
    for module in model.modules():
        if (form := FORMS.get(type(module))) is not None:
            module.__class__ = form
