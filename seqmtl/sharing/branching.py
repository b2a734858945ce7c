"""Branching: a tree of layers, its trunk shared by all tasks and its branches by fewer and fewer.

K layers, B sentences, T words, H features.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.errors import ConfigError, nearest
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table
from seqmtl.sharing.towers.base import Tower

Partition = Sequence[Sequence[str]]  # the tasks, in groups that share a layer


class Branching(Sharing):
    """Tasks share a layer within a group, and groups only ever split on the way up.

    The network is that of Branched Multi-Task Networks (Vandenhende et al., BMVC 2020). Deviation: they find the tree
    from how alike the tasks' features are; here it is given by hand.

    A tower stands for each group of the last layer. A layer that several of them would have in common is held by the
    one of the group's first task, and is not there in the others.
    """

    def __init__(self, towers: Mapping[str, Tower], *, tree: Sequence[Partition]) -> None:
        """Grow the tree.

        Args:
            towers: one for each group of the last layer, by the group's first task, all of one shape.
            tree: for each layer, lowest first, the tasks in groups, each within a group of the layer below.
        """
        super().__init__()
        self.towers = nn.ModuleDict(towers)
        self.tree = tuple(tree)
        self.tops = {task: group[0] for group in tree[-1] for task in group}  # a task to the tower it ends in
        (self.out_features,) = {tower.out_features for tower in towers.values()}
        self.keep(self.tops)

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Run the layers on the way to the wanted tasks; tasks that part nowhere have the same ``[B, T, H]``."""
        entered = self._tower(self.tree[0][0][0]).enter(states)  # any tower will do
        held = dict.fromkeys(request.tasks, entered.states)
        for number, groups in enumerate(self.tree):
            for group in groups:
                here = [task for task in group if task in held]
                if here:
                    after = self._tower(group[0]).layer(number, held[here[0]], entered)
                    held |= dict.fromkeys(here, after)
        features: dict[str, Tensor] = {}
        for group in self.tree[-1]:
            here = [task for task in group if task in held]
            if here:
                features |= dict.fromkeys(here, self._tower(group[0]).leave(held[here[0]], entered))
        return SharingOutput({task: features[task] for task in request.tasks})

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The layers on the way to ``tasks``."""
        layers = [
            self._tower(group[0]).layers[str(number)]
            for number, groups in enumerate(self.tree)
            for group in groups
            if not set(tasks).isdisjoint(group)
        ]
        tops = {self.tops[task]: self._tower(task) for task in tasks}
        outer = [p for tower in tops.values() for p in tower.outer_parameters()]
        return [*(p for layer in layers for p in layer.parameters()), *outer]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the layers that are on the way to none of ``tasks``."""
        for name, tower in self.towers.items():
            on_the_way = [
                number
                for number, groups in enumerate(self.tree)
                if any(self.tops[group[0]] == name and not set(tasks).isdisjoint(group) for group in groups)
            ]
            tower.keep(on_the_way)  # type: ignore[operator]  # it is a tower

    def coupling(self) -> Coupling:
        """The tree: per layer, 1 where two tasks share it."""
        tasks, tables = list(self.tops), {}
        for number, groups in enumerate(self.tree, start=1):
            branch = {task: index for index, group in enumerate(groups) for task in group}
            place = torch.tensor([branch[task] for task in tasks])  # [M]
            tables[f"shared {number}"] = Table(tasks, tasks, (place[:, None] == place).float())
        return Coupling(tables)

    def _tower(self, task: str) -> Tower:
        return self.towers[self.tops[task]]  # type: ignore[return-value]  # it is a tower


def check_tree(tree: Sequence[Partition], *, tasks: Sequence[str], layers: int) -> None:
    """Make sure that ``tree`` has a partition of the tasks for each layer, each within the one below.

    Raises:
        ConfigError: naming the layer.
    """
    if len(tree) != layers:
        raise ConfigError(
            f"sharing.tree: {len(tree)} levels, but the tower has {layers} layers; "
            "give the groups of tasks that share each layer, lowest first"
        )
    for number, groups in enumerate(tree, start=1):
        _check_partition(groups, tasks=tasks, where=f"sharing.tree, layer {number}")
    for number, (below, groups) in enumerate(pairwise(tree), start=2):
        for group in groups:
            if not any(set(group) <= set(wider) for wider in below):
                raise ConfigError(
                    f"sharing.tree, layer {number}: group [{', '.join(group)}] joins tasks that layer {number - 1} "
                    "keeps apart; branches do not meet again: split the group, or join them below, too"
                )


def _check_partition(groups: Partition, *, tasks: Sequence[str], where: str) -> None:
    counts = Counter(task for group in groups for task in group)
    for name, count in counts.items():
        if name not in tasks:
            raise ConfigError(f"{where}: there is no task {name!r}; {nearest(name, tasks)}")
        if count > 1:
            raise ConfigError(f"{where}: task {name!r} stands there {count} times; leave it in one group")
    missing = [task for task in tasks if task not in counts]
    if missing:
        raise ConfigError(
            f"{where}: no group has {', '.join(map(repr, missing))}; put each task into one, alone if it shares nothing"
        )
