"""What happens to the decoders of a task at the end of a meta-iteration.

K decoders.
"""

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from seqmtl.heads.base import Head
from seqmtl.heads.srl import SRLHead
from seqmtl.heads.token import TokenHead
from seqmtl.specs.pseudo_tasks import PseudoTasksSpec

HIGHEST_RATE = 0.95  # of dropout: a decoder that sees next to nothing teaches nothing


@torch.no_grad()
def dec_update(
    head: TokenHead | SRLHead, optimizer: Optimizer, spec: PseudoTasksSpec, *, leader: int, rng: np.random.Generator
) -> int:
    """DecUpdate of Meyerson and Miikkulainen (2018, Algorithm 1): greedy, then perturb, then hyperperturb.

    This order, since greedy would undo the others (METHODS.md 4.2). Greedy copies parameters, dropout rates and
    optimiser moments; the noise of perturb leaves moments as they are. Deviations: the noise of perturb is in standard
    deviations of the parameter of each decoder, so that one number fits linear maps, biases and the transitions of a
    CRF; rates stay below 0.95.

    Args:
        head: of the task.
        optimizer: which has its moments.
        spec: what is asked for.
        leader: the decoder with the least control cost.
        rng: of this task and meta-iteration, the same on every process.

    Returns:
        The decoder that predicts from now on: after greedy and perturb the first, which is an exact copy of the leader,
        otherwise the leader, which perturb alone may have given noise.
    """
    if "greedy" in spec.update:
        _greedy(head, optimizer, leader=leader, frozen="freeze" in spec.init)
    if "perturb" in spec.update:
        _perturb(head, scale=spec.epsilon_p, rng=rng)
        leader = 0 if "greedy" in spec.update else leader
    if "hyperperturb" in spec.update:
        assert head.scorer.rates is not None  # the spec asks for dropout of their own
        _hyperperturb(head.scorer.rates, scale=spec.epsilon_h, leader=leader, rng=rng)
    return leader


def _greedy(head: Head, optimizer: Optimizer, *, leader: int, frozen: bool) -> None:
    """All decoders become the leader, with its moments; where only the first learns, it keeps its own.

    A leader that does not learn has moments of zero, from which the optimiser would take steps far too large so late.
    """
    for values in head.own().values():
        values.copy_(values[leader].clone().expand_as(values))
        for moment in moments(optimizer, values) if not frozen else ():
            moment.copy_(moment[leader].clone().expand_as(moment))


def _perturb(head: Head, *, scale: float, rng: np.random.Generator) -> None:
    """``theta_d += N(0, (epsilon_p * std(theta_d))^2)`` for each parameter of all decoders but the first."""
    for parameter in head.own_parameters():
        others = parameter[1:]
        deviation = others.flatten(1).std(dim=1, correction=0).view(-1, *[1] * (others.ndim - 1))  # [K - 1, 1, ...]
        others += scale * deviation * _normal(others, rng)


def _hyperperturb(rates: Tensor, *, scale: float, leader: int, rng: np.random.Generator) -> None:
    """``p_d += N(0, epsilon_h^2)`` for all decoders but the leader, clipped."""
    moved = (rates + scale * _normal(rates, rng)).clamp(0.0, HIGHEST_RATE)
    moved[leader] = rates[leader]
    rates.copy_(moved)


def moments(optimizer: Optimizer, values: Tensor) -> list[Tensor]:
    """What the optimiser remembers of each entry of a parameter; nothing before its first step, or of a buffer."""
    state = optimizer.state.get(values, {})
    return [part for part in state.values() if isinstance(part, Tensor) and part.shape == values.shape]


def _normal(like: Tensor, rng: np.random.Generator) -> Tensor:
    """Noise that is the same on every device."""
    return torch.from_numpy(rng.standard_normal(like.shape, dtype=np.float32)).to(like)
