"""BiLSTM layers in an ONNX graph.

B sequences, T positions, D input size, H size of one direction.
"""

import torch
from torch import Tensor, nn

from seqmtl.layers.bilstm import BiLSTM
from seqmtl.layers.replacement import Model, with_replaced


class OnnxBiLSTM(nn.Module):
    """A ``BiLSTM`` by ONNX's own operator, which knows the length of each sequence and reads it in both directions.

    With torch's LSTM, torch 2.13 exports a graph that fits no other number of positions than the sample's.
    """

    input_weights: Tensor
    recurrent_weights: Tensor
    bias: Tensor

    def __init__(self, layer: BiLSTM) -> None:
        """With the weights of ``layer``."""
        super().__init__()
        ways = (layer.forward_lstm, layer.backward_lstm)
        parts = {
            part: _of_both([way.get_parameter(f"{part}_l0") for way in ways])
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        self.size = layer.forward_lstm.hidden_size
        self.register_buffer("input_weights", parts["weight_ih"])  # [2, 4H, D]
        self.register_buffer("recurrent_weights", parts["weight_hh"])  # [2, 4H, H]
        self.register_buffer("bias", torch.cat((parts["bias_ih"], parts["bias_hh"]), dim=1))  # [2, 8H]

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """As ``BiLSTM`` does, ``[B, T, D]`` to ``[B, T, 2H]``, in the exported graph; here it gives zeros."""
        lengths = mask.sum(dim=1).int()  # [B]
        output: Tensor = torch.onnx.ops.symbolic(
            "LSTM",
            [states.transpose(0, 1), self.input_weights, self.recurrent_weights, self.bias, lengths],
            attrs={"hidden_size": self.size, "direction": "bidirectional"},
            dtype=states.dtype,
            shape=[states.shape[1], 2, states.shape[0], self.size],
        )  # [T, 2, B, H]
        return output.permute(2, 0, 1, 3).flatten(2).masked_fill(~mask[..., None], 0.0)


def with_onnx_lstms(model: Model) -> Model:
    """A copy of ``model`` with ``OnnxBiLSTM`` in the place of every ``BiLSTM``; other parameters are shared with it."""
    return with_replaced(model, lambda module: OnnxBiLSTM(module) if isinstance(module, BiLSTM) else None)


def _of_both(weights: list[Tensor]) -> Tensor:
    """Both directions; torch has the gates as input, forget, cell, output, ONNX as input, output, forget, cell."""
    gates = [one.detach().chunk(4) for one in weights]
    return torch.stack([torch.cat((i, o, f, c)) for i, f, c, o in gates])
