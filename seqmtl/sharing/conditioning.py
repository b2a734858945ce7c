"""Conditioning: one network for all tasks, which is told the task that it works for.

M tasks, Z size of a task's vector, B sentences, T words, D and H features.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from seqmtl.batch import States, WordStates
from seqmtl.layers.conditioning import Concatenation, FiLM, Gate
from seqmtl.sharing.base import Coupling, Request, Sharing, SharingOutput, Table
from seqmtl.sharing.towers.base import Tower


class Conditioning(Sharing):
    """The input of a shared tower depends on a learned vector z of the task, METHODS.md section 7.

    - ``concat``: ``[h; z]``.
    - ``multiplicative``: ``sigmoid(W z + b) * h`` or ``(W z + b) * h``.
    - ``film``: ``gamma(z) * h + beta(z)`` (Perez et al., AAAI 2018).

    Without a tower it is the features that depend on z. Every task needs a run of the tower of its own; they are run as
    one batch.

    Deviations: the gates have a bias, and all maps of z start as constants: linear gates and gamma at 1, beta at 0, so
    that the tasks begin as hard sharing; sigmoid gates at 1/2, so that they begin as hard sharing of half the states.
    ``concat`` begins with features that differ between tasks, since z does. In the FiLM paper z is the state of a
    network that reads a question, and the features are those of convolutions.
    """

    def __init__(
        self,
        form: Concatenation | Gate | FiLM,
        *,
        tasks: Sequence[str],
        task_size: int,
        tower: Tower | None,
    ) -> None:
        """Condition what ``tower`` reads, or the features themselves."""
        super().__init__()
        self.form = form
        self.tower = tower
        self.vectors = TaskVectors(tasks, size=task_size)
        self.tasks = tuple(tasks)
        self.out_features = form.out_features if tower is None else tower.out_features

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Tell the tower of each wanted task, side by side along the sentences."""
        words = states.words()
        told = self.form(words.states, self.vectors(request.tasks))  # [M, B, T, D]
        if self.tower is None:
            return SharingOutput(dict(zip(request.tasks, told, strict=True)))
        n_tasks = len(request.tasks)
        features = self.tower(WordStates(told.flatten(0, 1), words.mask.repeat(n_tasks, 1)))  # [M * B, T, H]
        each = features.unflatten(0, (n_tasks, words.mask.shape[0]))  # [M, B, T, H]
        return SharingOutput(dict(zip(request.tasks, each, strict=True)))

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """All but the vectors of other tasks."""
        others = {id(vector) for task, vector in self.vectors.named_parameters() if task not in tasks}
        return [p for p in self.parameters() if id(p) not in others]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the vectors of other tasks."""
        for task in set(self.tasks) - set(tasks):
            delattr(self.vectors, task)
        self.tasks = tuple(task for task in self.tasks if task in tasks)

    def coupling(self) -> Coupling:
        """What each task does to each feature: gates, or gamma and beta; where z is put beside the features, z."""
        with torch.no_grad():
            tasks = self.vectors(self.tasks)
            match self.form:
                case Concatenation():
                    tables = {"z": tasks}
                case Gate():
                    tables = {"gate": self.form.gates(tasks)}
                case FiLM():
                    tables = {"gamma": self.form.gamma(tasks), "beta": self.form.beta(tasks)}
        return Coupling({name: self._table(values) for name, values in tables.items()})

    def _table(self, values: Tensor) -> Table:
        return Table(self.tasks, [str(number + 1) for number in range(values.shape[1])], values)


class TaskVectors(nn.Module):
    """A learned vector z for each task, a parameter of its name."""

    def __init__(self, tasks: Sequence[str], *, size: int) -> None:
        """Vectors of ``size``."""
        super().__init__()
        for task in tasks:
            self.register_parameter(task, nn.Parameter(torch.empty(size)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Length 1, but for chance."""
        for vector in self.parameters():
            nn.init.normal_(vector, std=len(vector) ** -0.5)

    def forward(self, tasks: Sequence[str]) -> Tensor:
        """Those of ``tasks``, ``[M, Z]``."""
        return torch.stack([self.get_parameter(task) for task in tasks])
