"""BiLSTM layers in an ONNX graph.

B sequences, T positions, D input size, H size of one direction.
"""

import torch
from torch import Tensor, nn

from seqmtl.layers.bilstm import BiLSTM


class OnnxBiLSTM(nn.Module):
    """A ``BiLSTM`` by ONNX's own operator, which reads sequences of any length.

    Of torch's LSTM the exporter writes one step for every position of the sample, and no other length fits.
    """

    inner: Tensor
    outer: Tensor
    bias: Tensor

    def __init__(self, layer: BiLSTM) -> None:
        """With the weights of ``layer``."""
        super().__init__()
        ways = (layer.forward_lstm, layer.backward_lstm)
        self.size = layer.forward_lstm.hidden_size
        self.register_buffer("inner", _of_both([way.get_parameter("weight_ih_l0") for way in ways]))  # [2, 4H, D]
        self.register_buffer("outer", _of_both([way.get_parameter("weight_hh_l0") for way in ways]))  # [2, 4H, H]
        biases = [_of_both([way.get_parameter(f"bias_{kind}_l0") for way in ways]) for kind in ("ih", "hh")]
        self.register_buffer("bias", torch.cat(biases, dim=1))  # [2, 8H]

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As ``BiLSTM`` does, ``[B, T, D]`` to ``[B, T, 2H]``; it can only be exported, not run."""
        read: Tensor = torch.onnx.ops.symbolic(
            "LSTM",
            [states.transpose(0, 1), self.inner, self.outer, self.bias, mask.sum(dim=1).int()],
            attrs={"hidden_size": self.size, "direction": "bidirectional"},
            dtype=states.dtype,
            shape=[states.shape[1], 2, states.shape[0], self.size],
        )  # [T, 2, B, H]
        return read.permute(2, 0, 1, 3).flatten(2).masked_fill(~mask[..., None], 0.0)


def with_onnx_lstms(module: nn.Module) -> None:
    """Put ``OnnxBiLSTM`` in the place of every ``BiLSTM`` inside ``module``."""
    for name, child in module.named_children():
        if isinstance(child, BiLSTM):
            setattr(module, name, OnnxBiLSTM(child))
        else:
            with_onnx_lstms(child)


def _of_both(weights: list[Tensor]) -> Tensor:
    """Both directions; torch has the gates as input, forget, cell, output, ONNX as input, output, forget, cell."""
    gates = [one.detach().chunk(4) for one in weights]
    return torch.stack([torch.cat((i, o, f, c)) for i, f, c, o in gates])
