"""Soft parameter sharing: a tower per task, and a penalty that keeps the towers alike.

M towers, B sentences, T words, H features.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table, keep_modules
from seqmtl.sharing.towers.base import Tower


class Soft(Sharing):
    """Each task reads its own tower, and the distance between the towers is small, METHODS.md section 1.2.

    - ``pairwise``: ``R = sum_{i<j} ||theta_i - theta_j||^2`` over the parameters of the tied layers, after the L2 prior
      of Duong et al. (ACL 2015).
    - ``mean``: ``R = sum_m ||theta_m - mean(theta)||^2``, the regulariser of Evgeniou and Pontil (KDD 2004), in which a
      task is a common part and a part of its own. It is the other divided by M.

    All towers start as copies of one: between towers that start apart a distance means nothing, since their hidden
    units stand in any order.

    Deviations: Duong et al. pull the parser of a target language towards that of a source language, which stays as it
    is; here all towers move. Theirs are embeddings and weights of a feed-forward network, here layers of towers;
    Evgeniou and Pontil's are linear models, whose common part is penalised, too. A tower whose task has no row in a
    step rests: the others move towards it, not it towards them.
    """

    def __init__(self, towers: Mapping[str, Tower], *, form: str, weight: float, layers: Sequence[int]) -> None:
        """One tower per task, all of one shape, which become copies of the first; ``layers`` are tied, "0" lowest."""
        super().__init__()
        first, *others = towers.values()
        for other in others:
            other.load_state_dict(first.state_dict())
        self.towers = nn.ModuleDict(towers)
        self.form = form
        self.weight = weight
        self.tied = tuple(layers)
        self.out_features = first.out_features

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the towers of the wanted tasks only; in training, give the distance between all."""
        towers = {task: self.towers[task] for task in request.tasks}
        entered = next(iter(towers.values())).enter(states)  # type: ignore[operator]  # it is a tower
        features = {task: tower(entered) for task, tower in towers.items()}
        if not self.training or self.weight == 0.0 or len(self.towers) == 1:
            return SharingOutput(features)
        return SharingOutput(features, {"distance": self.weight * self.distance()})

    def distance(self) -> Tensor:
        """R, summed over the tied layers, without its weight."""
        groups = [group for number in self.tied for group in self._copies(number)]
        to_mean = torch.stack([distance_to_mean(torch.stack(group)) for group in groups]).sum()
        return to_mean if self.form == "mean" else len(self.towers) * to_mean

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The tasks' towers."""
        return [p for task in tasks for p in self.towers[task].parameters()]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the towers of other tasks."""
        keep_modules(self.towers, tasks)

    def coupling(self) -> Coupling:
        """How far each two towers are from each other, ``||theta_i - theta_j||`` per layer, tied or not."""
        tasks, tables = list(self.towers), {}
        for number in range(len(next(iter(self._stacks())))):
            squares = torch.zeros(len(tasks), len(tasks), device=next(self.parameters()).device)
            for group in self._copies(number):  # one by one: all at once they would be M * M times a layer
                for one, other in combinations(range(len(tasks)), 2):
                    squares[one, other] += (group[one] - group[other]).detach().float().square().sum()
            tables[f"distance {number + 1}"] = Table(tasks, tasks, (squares + squares.T).sqrt())
        return Coupling(tables)

    def _copies(self, number: int) -> list[tuple[nn.Parameter, ...]]:
        """What a layer's parameters are in each of the towers."""
        return list(zip(*(stack[str(number)].parameters() for stack in self._stacks()), strict=True))

    def _stacks(self) -> list[nn.ModuleDict]:
        return [tower.layers for tower in self.towers.values()]  # type: ignore[misc]  # they are towers


def distance_to_mean(copies: Tensor) -> Tensor:
    """``sum_m ||theta_m - mean(theta)||^2`` of ``[M, ...]``; exactly 0 where all are equal."""
    apart = copies - copies[:1]
    return (apart - apart.mean(dim=0)).square().sum()
