"""The two cells of a Meta-LSTM layer.

R directions, D inputs, H size of the Basic-LSTM, M of the Meta-LSTM, Z of the meta vector.
"""

from math import sqrt

import torch
from torch import Tensor, nn
from transformers import initialization as init

from seqmtl.kernels.meta_lstm import BasicWeights, MetaWeights

# The mean square of an LSTM's state over inputs of variance 1, as it is initialised here.
_STATE_SQUARE = 0.04


class MetaCell(nn.Module):
    """The Meta-LSTM: what reads words for all tasks and says in a vector z how they are to be composed.

    The projection W_z may be left out, as in the authors' code; z is then the state of the cell, so Z = M.
    """

    def __init__(self, in_features: int, *, directions: int, hidden: int, size: int, vector: int | None) -> None:
        """``hidden`` is H, ``size`` M, ``vector`` Z, or None without W_z; ``directions`` 1 when both share the cell."""
        super().__init__()
        self.sizes = (in_features, size, hidden)
        self.gates = nn.Parameter(torch.empty(directions, 4 * size, sum(self.sizes)))
        self.bias = nn.Parameter(torch.empty(directions, 4 * size))
        self.projection = None if vector is None else nn.Parameter(torch.empty(directions, vector, size))
        self.vector = size if vector is None else vector
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As an LSTM: Xavier for what is read, orthogonal for its own state, forget bias 1; Xavier for W_z."""
        n_inputs, size, n_hidden = self.sizes
        gates, bias = torch.empty_like(self.gates), torch.zeros_like(self.bias)
        for gate in gates.unflatten(1, (4, size)).flatten(0, 1):  # g, i, f, o
            nn.init.xavier_uniform_(gate[:, :n_inputs])
            nn.init.orthogonal_(gate[:, n_inputs:-n_hidden])
            nn.init.xavier_uniform_(gate[:, -n_hidden:])
        bias[:, 2 * size : 3 * size] = 1.0
        # Written as a whole, for transformers keeps a loaded parameter only where it sees the parameter itself.
        init.copy_(self.gates, gates)
        init.copy_(self.bias, bias)
        if self.projection is not None:
            init.copy_(self.projection, _xavier(torch.empty_like(self.projection)))

    def weights(self) -> MetaWeights:
        """For the kernel."""
        return MetaWeights(self.gates, self.bias, self.projection)

    def vector_square(self, offset: float) -> float:
        """The mean square of an entry of z at the start."""
        size = self.sizes[1]
        spread = 1.0 if self.projection is None else 2.0 * size / (size + self.vector)
        return offset**2 + spread * _STATE_SQUARE


class BasicCell(nn.Module):
    """A task's Basic-LSTM: P, Q and B, which make its weights of z, ``W(z) = P diag(z) Q`` and ``b(z) = B z``."""

    def __init__(
        self, in_features: int, *, directions: int, hidden: int, vector: int, vector_square: float, offset: float
    ) -> None:
        """``hidden`` is H, ``vector`` Z, ``vector_square`` the mean square of z, ``offset`` its mean."""
        super().__init__()
        self.vector_square = vector_square
        self.offset = offset
        self.left = nn.Parameter(torch.empty(directions, 4, hidden, vector))
        self.right = nn.Parameter(torch.empty(directions, 4, vector, in_features + hidden))
        self.generated_bias = nn.Parameter(torch.empty(directions, 4, hidden, vector))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier, P enlarged by what z takes away, B 0; where z has a mean, B makes a forget bias of 1."""
        bias = torch.zeros_like(self.generated_bias)
        if self.offset:
            bias[:, 2] = 1.0 / (self.offset * bias.shape[-1])
        init.copy_(self.left, _xavier(torch.empty_like(self.left), gain=1.0 / sqrt(self.vector_square)))
        init.copy_(self.right, _xavier(torch.empty_like(self.right)))
        init.copy_(self.generated_bias, bias)

    def norms(self, vectors: Tensor) -> Tensor:
        """How large the weights are that z generates, ``||W(z)||_F`` over gates and directions.

        Args:
            vectors: z, ``[R, ..., Z]``.

        Returns:
            ``[...]``.
        """
        grams = (self.left.mT @ self.left) * (self.right @ self.right.mT)  # [R, 4, Z, Z]
        squares = torch.einsum("r...z,rzy,r...y->...", vectors, grams.sum(1), vectors)
        return squares.clamp_min(0.0).sqrt()


def stacked(cells: "list[BasicCell]") -> BasicWeights:
    """The weights of several tasks, for the kernel."""
    return BasicWeights(
        left=torch.stack([cell.left for cell in cells]),
        right=torch.stack([cell.right for cell in cells]),
        bias=torch.stack([cell.generated_bias for cell in cells]),
    )


def _xavier(matrices: Tensor, *, gain: float = 1.0) -> Tensor:
    """Each of the matrices ``[..., O, I]`` drawn by itself."""
    for matrix in matrices.flatten(0, -3):
        nn.init.xavier_uniform_(matrix, gain=gain)
    return matrices
