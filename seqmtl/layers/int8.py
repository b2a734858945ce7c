"""Linear maps in eight bits, for inference on a CPU.

N rows, I inputs, O outputs; ``...`` any leading dimensions.
"""

import torch
from torch import Tensor, nn

from seqmtl.layers.on_cpu import Linear
from seqmtl.layers.replacement import Model, with_replaced

is_there = torch.backends.mkldnn.is_available() and hasattr(torch.ops.onednn, "qlinear_pointwise")


class Int8Linear(nn.Module):
    """Dynamic quantisation: weights once, symmetrically, with a scale per output; inputs at each call, with one scale.

    So what a row gives depends a little on the rows beside it. Multiplied by oneDNN through what ``torch.compile``
    calls; there is no public name for it: ``torch.ao.quantization`` and tensors of quantised types are deprecated, and
    torchao is one more package to install.
    """

    def __init__(self, plain: nn.Linear) -> None:
        """Take the place of ``plain``, with its weights as they are now."""
        super().__init__()
        weight = plain.weight.detach().float()  # [O, I]
        self._scale = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / 127  # [O]
        levels = (weight / self._scale[:, None]).round().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(levels, None)
        self._zero = torch.zeros(len(weight), dtype=torch.int32)  # [O]
        self._bias = None if plain.bias is None else plain.bias.detach().float()

    def forward(self, input: Tensor) -> Tensor:
        """``[..., I]`` to ``[..., O]``."""
        if not input.numel():
            return input.new_zeros(*input.shape[:-1], len(self._scale))
        rows = input.flatten(0, -2).float()  # [N, I]
        low, high = (bound.item() for bound in rows.aminmax())
        low, high = min(low, 0.0), max(high, 0.0)  # 0 is a level: what is padded stays 0
        scale = max((high - low) / 255, torch.finfo(torch.float32).tiny)
        zero = round(-low / scale)
        levels = torch.mul(rows, 1 / scale).add_(zero).round_().clamp_(0, 255).to(torch.uint8)
        maps = self._packed, self._scale, self._zero, self._bias
        output = torch.ops.onednn.qlinear_pointwise(levels, scale, zero, *maps, 1.0, 0, torch.float32, "none", [], "")
        return output.view(*input.shape[:-1], -1).to(input.dtype)


def in_int8(model: Model) -> Model:
    """A copy of ``model`` with its linear maps in eight bits; all other parameters are shared with it, not copied.

    The copy cannot be trained or saved. Subclasses of ``nn.Linear`` may compute otherwise and are left alone.
    """
    return with_replaced(model, _in_int8)


def _in_int8(module: nn.Module) -> Int8Linear | None:
    return Int8Linear(module) if isinstance(module, nn.Linear) and type(module) in (nn.Linear, Linear) else None
