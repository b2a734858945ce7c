"""What a Meta-LSTM layer is made of.

K tasks, R directions, D inputs, H size of the Basic-LSTM, M of the Meta-LSTM, Z of the meta vector. The four gates
stand in the order g (candidate), i (input), f (forget), o (output).
"""

from typing import NamedTuple

from torch import Tensor


class MetaWeights(NamedTuple):
    """The Meta-LSTM, shared by all tasks; R is 1 when the directions share it as well.

    Attributes:
        gates: W_m, on ``[x; h of the meta cell; h of the basic cell]``, ``[R, 4M, D + M + H]``.
        bias: b_m, ``[R, 4M]``.
        projection: W_z, ``[R, Z, M]``; None when the meta vector is the meta cell's state itself, so Z = M.
    """

    gates: Tensor
    bias: Tensor
    projection: Tensor | None


class BasicWeights(NamedTuple):
    """What turns meta vectors into the weights of each task's Basic-LSTM: ``W(z) = P diag(z) Q``, ``b(z) = B z``.

    Attributes:
        left: P, ``[K, R, 4, H, Z]``.
        right: Q, on ``[x; h of the basic cell]``, ``[K, R, 4, Z, D + H]``.
        bias: B, ``[K, R, 4, H, Z]``.
    """

    left: Tensor
    right: Tensor
    bias: Tensor


class MetaStates(NamedTuple):
    """What a Meta-LSTM layer gives.

    Attributes:
        hidden: h of the basic cells, the directions side by side, 0 where padded, ``[K, B, T, R * H]``.
        meta: z, without gradient, 0 where padded, ``[K, R, B, T, Z]``.
    """

    hidden: Tensor
    meta: Tensor
