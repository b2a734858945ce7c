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
        self.vectors = nn.ParameterDict({task: torch.empty(task_size) for task in tasks})
        self.out_features = form.out_features if tower is None else tower.out_features
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Task vectors of length 1, but for chance."""
        for vector in self.vectors.values():
            nn.init.normal_(vector, std=len(vector) ** -0.5)

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Tell the tower of each wanted task, side by side along the sentences."""
        words = states.words()
        told = self.form(words.states, self._stacked(request.tasks))  # [M, B, T, D]
        if self.tower is None:
            return SharingOutput(dict(zip(request.tasks, told, strict=True)))
        n_tasks = len(request.tasks)
        features = self.tower(WordStates(told.flatten(0, 1), words.mask.repeat(n_tasks, 1)))  # [M * B, T, H]
        each = features.unflatten(0, (n_tasks, len(words.mask)))  # [M, B, T, H]
        return SharingOutput(dict(zip(request.tasks, each, strict=True)))

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """All but the vectors of other tasks."""
        others = {id(vector) for task, vector in self.vectors.items() if task not in tasks}
        return [p for p in self.parameters() if id(p) not in others]

    def coupling(self) -> Coupling:
        """What each task does to each feature: gates, or gamma and beta; where z is put beside the features, z."""
        with torch.no_grad():
            tasks = self._stacked(tuple(self.vectors))
            match self.form:
                case Concatenation():
                    tables = {"z": tasks}
                case Gate():
                    tables = {"gate": self.form.gates(tasks)}
                case FiLM():
                    tables = {"gamma": self.form.gamma(tasks), "beta": self.form.beta(tasks)}
        return Coupling({name: self._table(values) for name, values in tables.items()})

    def _table(self, values: Tensor) -> Table:
        return Table(list(self.vectors), [str(number + 1) for number in range(values.shape[1])], values)

    def _stacked(self, tasks: Sequence[str]) -> Tensor:
        """Their vectors, ``[M, Z]``."""
        return torch.stack([self.vectors[task] for task in tasks])
