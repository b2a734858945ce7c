"""Layers of several towers as one batched computation, to be timed against the loop over them.

M towers, N sequences, L positions, D inputs, H size of one direction. The weights are stacked once, before the clock
runs: a model that holds its weights per tower would have to stack them in every step, which costs more.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from seqmtl.kernels.reversal import pick, reversal
from seqmtl.layers.bilstm import BiLSTM


class Side(ABC):
    """One way to run M layers forth and back; its ``weights`` are what gradients are computed for."""

    weights: list[Tensor]

    @abstractmethod
    def outputs(self, states: Sequence[Tensor]) -> list[Tensor]:
        """What the layers make of a state ``[N, L, D]`` each."""

    def step(self, states: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the states, then of the weights, when every output's gradient is the output itself."""
        outputs = self.outputs(states)
        return list(torch.autograd.grad(outputs, [*states, *self.weights], [output.detach() for output in outputs]))


class Loop(Side):
    """A tower after the other, as the sharing schemes do it."""

    def __init__(self, layers: Sequence[nn.Module], run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        """``run`` calls a layer on its state."""
        self.layers = layers
        self.run = run
        self.weights = [weight for layer in layers for weight in layer.parameters()]

    def outputs(self, states: Sequence[Tensor]) -> list[Tensor]:
        """Layer by layer."""
        return [self.run(layer, state) for layer, state in zip(self.layers, states, strict=True)]


class BatchedBlocks(Side):
    """Blocks of a transformer under ``vmap``."""

    def __init__(self, blocks: Sequence[nn.Module], run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        """``run`` calls a block on its state."""
        stacked, buffers = stack_module_state(list(blocks))
        self.weights = list(stacked.values())
        skeleton = deepcopy(blocks[0])

        def one(weights: dict[str, Tensor], state: Tensor) -> Tensor:
            return functional_call(_Call(skeleton, run), {f"block.{k}": w for k, w in weights.items()}, (state,))

        self.all = vmap(one)
        self.stacked = stacked
        assert not buffers

    def outputs(self, states: Sequence[Tensor]) -> list[Tensor]:
        """All at once."""
        return list(self.all(self.stacked, torch.stack(tuple(states))).unbind())


class _Call(nn.Module):
    """A block with how it is called, since ``functional_call`` calls modules."""

    def __init__(self, block: nn.Module, run: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.block = block
        self.run = run

    def forward(self, state: Tensor) -> Tensor:
        return self.run(self.block, state)


class BatchedBiLSTMs(Side):
    """Both directions of M BiLSTM layers as one recurrence of 2M cells; ``vmap`` has no rule for torch's LSTM."""

    def __init__(self, layers: Sequence[BiLSTM], mask: Tensor) -> None:
        """``mask`` ``[N, L]`` is that of the states to come."""
        lstms = [lstm for layer in layers for lstm in (layer.forward_lstm, layer.backward_lstm)]
        self.mask = mask
        self.order = reversal(mask)  # [N, L]
        self.sequence = torch.arange(len(mask))[:, None]  # [N, 1]
        self.inner = _stacked([lstm.get_parameter("weight_ih_l0").T for lstm in lstms])  # [2M, D, 4H]
        self.outer = _stacked([lstm.get_parameter("weight_hh_l0").T for lstm in lstms])  # [2M, H, 4H]
        bias = [lstm.get_parameter("bias_ih_l0") + lstm.get_parameter("bias_hh_l0") for lstm in lstms]
        self.bias = _stacked([one[None] for one in bias])  # [2M, 1, 4H]
        self.weights = [self.inner, self.outer, self.bias]

    def outputs(self, states: Sequence[Tensor]) -> list[Tensor]:
        """All at once."""
        n, length = self.mask.shape
        both = torch.stack(
            [way for state in states for way in (state, pick(state, self.sequence, self.order))]
        )  # [2M, N, L, D]
        flat = both.transpose(1, 2).flatten(1, 2)  # [2M, L * N, D]
        gates = torch.baddbmm(self.bias, flat, self.inner).unflatten(1, (length, n)).unbind(1)  # L of [2M, N, 4H]
        hidden = cell = flat.new_zeros(len(flat), n, self.outer.shape[1])  # [2M, N, H]
        after = []
        for inner in gates:
            taken, kept, new, shown = torch.baddbmm(inner, hidden, self.outer).chunk(4, dim=-1)
            cell = kept.sigmoid() * cell + taken.sigmoid() * new.tanh()
            hidden = shown.sigmoid() * cell.tanh()
            after.append(hidden)
        forth, back = torch.stack(after, dim=2).unflatten(0, (-1, 2)).unbind(1)  # [M, N, L, H]
        turned = torch.stack([pick(one, self.sequence, self.order) for one in back])
        return list(torch.cat((forth, turned), dim=-1).masked_fill(~self.mask[..., None], 0.0).unbind())


def _stacked(weights: list[Tensor]) -> Tensor:
    return torch.stack(weights).detach().requires_grad_()
