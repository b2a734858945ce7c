"""Sluice networks (Ruder, Bingel, Augenstein and Soegaard, AAAI 2019: Latent Multi-Task Architecture Learning).

M towers, S subspaces, K layers, B sentences, T words, H features; G gates, R units of a subspace, D inputs of a unit.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.layers.mixing import Alpha, Beta
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table, keep_modules
from seqmtl.sharing.coupling import start_alphas, start_betas
from seqmtl.sharing.pruning import Pruning, prune
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.lockstep import Lockstep, Reads


class Sluice(Sharing):
    """Alpha mixes the S subspaces of all towers after each layer, beta mixes the layers, METHODS.md section 2.2.

    - ``h[m,k] = layer_{m,k}(h~[m,k-1])``, and ``h~[k] = A_k h[k]`` over the M * S slices (equation 1), row = target.
    - ``h_m = sum_k beta_{m,k} h~[m,k]`` (equation 3) is what the head of task m reads; the mixed states are those after
      alpha, as in the authors' code.
    - ``Omega = sum_m sum_k ||G_{m,k,1} G_{m,k,2}'||_F^2`` (equation 4) keeps the subspaces of a layer apart; G are the
      weights at the input of the layer, gate by gate.

    Deviations: Omega divides by the number of its entries, so that its weight does not depend on sizes, and goes over
    all pairs when S > 2. ``orthogonality_form: column`` is the product that the authors' code computes. Equation 2
    prints alpha as (source, target); here it is (target, source) throughout, as in equation 1. The two directions of a
    BiLSTM are both split into S, where the public code reshapes across tasks (METHODS.md lists its defects). On towers
    of transformer blocks, which the paper does not have, subspaces are runs of attention heads, and Omega is on the
    output maps of attention and of the feed-forward part.
    """

    def __init__(
        self,
        towers: Mapping[str, Tower],
        alphas: Sequence[Alpha],
        betas: Mapping[str, Beta],
        *,
        reads: Sequence[Reads],
        orthogonality: float,
        form: str,
    ) -> None:
        """One tower and one beta per task, one alpha per layer."""
        super().__init__()
        self.lockstep = Lockstep(towers, alphas, reads=reads, handed_out=range(len(alphas)))
        self.betas = nn.ModuleDict(betas)
        self.orthogonality = orthogonality
        self.form = form
        (self.out_features,) = {tower.out_features for tower in towers.values()}

    def forward(self, states: States, request: Request) -> SharingOutput:
        """What beta makes of the layers, for each wanted task; and, in training, the penalty between subspaces."""
        entered = self.lockstep.enter(states)
        layers = self.lockstep(entered, request.tasks)
        features = {task: self.lockstep.leave(task, self.betas[task](held), entered) for task, held in layers.items()}
        if not self.training or self.orthogonality == 0.0 or self.subspaces == 1:
            return SharingOutput(features)
        return SharingOutput(features, {"orthogonality": self.orthogonality * self.omega()})

    @property
    def subspaces(self) -> int:
        """S."""
        return self.lockstep.mixers[0].subspaces  # type: ignore[return-value]

    def omega(self) -> Tensor:
        """The penalty between subspaces, summed over towers and layers, without its weight."""
        alike: dict[torch.Size, list[Tensor]] = {}  # there are many small ones, so those of one shape go together
        for tower in self.lockstep.in_order():
            for number in tower.layers:
                for weight in tower.unit_weights(int(number)):
                    alike.setdefault(weight.shape, []).append(weight)
        penalties = [
            subspace_orthogonality(torch.cat(weights), subspaces=self.subspaces, form=self.form)
            for weights in alike.values()
        ]
        return torch.stack(penalties).sum()

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The towers from which ``tasks`` can be reached, the alphas, and the tasks' betas."""
        return [*self.lockstep.serving(tasks), *(p for task in tasks for p in self.betas[task].parameters())]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the layers of towers from which none of ``tasks`` can be reached, and the betas of other tasks."""
        self.lockstep.keep(tasks)
        keep_modules(self.betas, tasks)

    def prune(self, threshold: float) -> Pruning:
        """Remove the alphas whose magnitude is below ``threshold``."""
        return prune(self.lockstep, threshold)

    def start_mixing(self, found: Coupling, *, source: str) -> None:
        """Let alpha start at ``found``, and beta when it has any."""
        wanted = self.coupling()
        start_alphas(self.lockstep.mixers, found, wanted=wanted, source=source)
        start_betas(dict(self.betas.items()), found, wanted=wanted, source=source)

    def coupling(self) -> Coupling:
        """Alpha per layer, rows = targets; and beta, a row per task."""
        tasks = self.lockstep.tasks
        slices = [f"{task}.{s + 1}" for task in tasks for s in range(self.subspaces)] if self.subspaces > 1 else tasks
        tables = {
            f"alpha {number}": Table(slices, slices, matrix)
            for number, matrix in enumerate(self.lockstep.matrices(), start=1)
        }
        betas = torch.stack([beta.get_parameter("weight").detach() for beta in self.betas.values()])  # [M, K]
        layers = [f"layer {k + 1}" for k in range(betas.shape[1])]
        return Coupling(tables | {"beta": Table(list(self.betas), layers, betas)})


def subspace_orthogonality(weight: Tensor, *, subspaces: int, form: str) -> Tensor:
    """How far the subspaces of a layer are from orthogonal, a mean over all pairs and entries, summed over matrices.

    Args:
        weight: G matrices with one row per unit, ``[G, S * R, D]``.
        subspaces: S.
        form: ``unit``: products of the weight vectors of units, ``[R, R]``; ``column``: of input columns, ``[D, D]``.
    """
    with torch.autocast(weight.device.type, enabled=False):
        slices = weight.unflatten(1, (subspaces, -1)).unbind(1)  # S times [G, R, D]
        products = [one @ other.mT if form == "unit" else one.mT @ other for one, other in combinations(slices, 2)]
        return torch.stack(products).square().mean() * len(weight)


def initial_alpha(tasks: int, *, subspaces: int, pattern: str) -> Tensor:
    """How alpha starts, ``[M * S, M * S]``.

    - ``identity``: every slice reads itself.
    - ``own_subspace`` (ours): 0.9 on itself, the rest shared by all others.
    - ``balanced``: ``1 / (M * S)`` everywhere, the default of the authors' code.
    - ``paper``: a bias of 0.95 towards one source subspace for each target task, 0.05 on others, as in the authors'
      code for M = S = 2 (there towards the second subspace for the first task, the first for the second; rows sum to
      2); without subspaces 0.9 and ``0.1 / (M - 1)``.
    - ``imbalanced``: the same pattern with rows that sum to 1.
    """
    size = tasks * subspaces
    if size == 1:
        return torch.ones(1, 1)
    match pattern:
        case "identity":
            return torch.eye(size)
        case "balanced":
            return torch.full((size, size), 1.0 / size)
        case "own_subspace":
            return torch.full((size, size), 0.1 / (size - 1)).fill_diagonal_(0.9)
        case _ if subspaces == 1:
            return torch.full((size, size), 0.1 / (size - 1)).fill_diagonal_(0.9)
    biased = torch.tensor([(subspaces - 1 - task) % subspaces for task in range(tasks)])  # [M]
    rows = torch.where(torch.arange(subspaces) == biased[:, None], 0.95, 0.05)  # [M, S]: target task, source subspace
    matrix = rows.repeat_interleave(subspaces, dim=0).repeat(1, tasks)  # [M * S, M * S]
    return matrix / matrix.sum(dim=1, keepdim=True) if pattern == "imbalanced" else matrix


def initial_beta(layers: int, *, pattern: str) -> Tensor:
    """How beta starts, ``[K]``: ``biased`` is 0.9 on the last layer and the rest shared, as in the authors' code."""
    match pattern:
        case "ones":
            return torch.ones(layers)
        case "uniform":
            return torch.full((layers,), 1.0 / layers)
        case "biased" if layers > 1:
            beta = torch.full((layers,), 0.1 / (layers - 1))
            beta[-1] = 0.9
            return beta
    return nn.functional.one_hot(torch.tensor(layers - 1), layers).to(torch.get_default_dtype())
