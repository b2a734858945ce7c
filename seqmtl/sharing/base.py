"""What a sharing scheme takes and gives.

B sentences, T words, D and H features, L labels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from seqmtl.batch import States
from seqmtl.sharing.pruning import Pruning

LabelReader = Callable[[str, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Request:
    """What is asked of a sharing scheme.

    Attributes:
        tasks: whose features are wanted.
        rows: in training, the sentences that teach each task, bool ``[B]``; otherwise empty. One that carries
            roles without a predicate, or no label but unseen ones, does not teach that task.
        read: how the head of a task reads its features: (task, ``[B, T, H]``, mask ``[B, T]``) to the probabilities of
            its labels, ``[B, T, L]``. A task whose head does not label words has none, and raises KeyError.
    """

    tasks: tuple[str, ...]
    rows: Mapping[str, Tensor] = field(default_factory=dict)
    read: LabelReader | None = None


@dataclass(frozen=True)
class SharingOutput:
    """One feature tensor per task, and what the scheme wants to be small.

    Attributes:
        features: ``{task: [B, T, H]}``; tasks may have the same tensor.
        penalties: named scalars, weighted by the scheme, to be added to the loss once per step; over micro-batches
            and processes, in each of which there is one, ``joint_loss`` takes the mean.
    """

    features: Mapping[str, Tensor]
    penalties: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Numbers with names.

    Attributes:
        rows: name of each row.
        columns: name of each column.
        values: ``[rows, columns]``.
    """

    rows: Sequence[str]
    columns: Sequence[str]
    values: Tensor


@dataclass(frozen=True)
class Coupling:
    """What a scheme has learned about its tasks, for reports and plots.

    Attributes:
        tables: by name, such as ``alpha 1`` or ``beta``.
    """

    tables: Mapping[str, Table]


class Sharing(nn.Module, ABC):
    """Word states to one feature tensor per task; one call sees all tasks at once.

    Attributes:
        out_features: H, the same for every task.
        recomputable: whether its blocks may be run again in the backward pass, as gradient checkpointing does.
    """

    out_features: int
    recomputable = True

    @abstractmethod
    def forward(self, states: States, request: Request) -> SharingOutput:
        """Features for the tasks of ``request`` from what the encoder gives, words or pieces."""

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:  # noqa: ARG002  # schemes with towers read it
        """The parameters on which the features of ``tasks`` depend; others rest in a step that has only these tasks."""
        return list(self.parameters())

    def reads(self, tasks: Collection[str]) -> list[str]:  # noqa: ARG002  # schemes that read heads need it
        """The tasks whose heads learn from ``tasks``, since the features of these depend on ``Request.read``."""
        return []

    def runs_heads(self, tasks: Collection[str]) -> list[str]:  # noqa: ARG002  # schemes that read heads need it
        """The tasks whose heads are run for the features of ``tasks``, by ``Request.read``."""
        return []

    def keep(self, tasks: Collection[str]) -> None:  # schemes with parts of tasks have some to drop
        """Drop what only other tasks than ``tasks`` need; nobody asks for the features of those any more."""

    def generator(self) -> list[nn.Parameter]:
        """What generates the weights of the tasks' own networks, for all of them; most schemes have no such part."""
        return []

    def coupling(self) -> Coupling:
        """What was learned; a scheme without learned sharing has nothing to show."""
        return Coupling({})

    def at_words(self, states: States, tasks: Sequence[str]) -> dict[str, Tensor]:  # noqa: ARG002  # a scheme with some reads it
        """What the scheme does at each word of one sentence; most schemes do the same at all words.

        Args:
            states: of one sentence.
            tasks: which tasks.

        Returns:
            Numbers by name, with a row per real word and a column per task, ``[T, K]``.
        """
        return {}

    def prune(self, threshold: float) -> Pruning | None:  # noqa: ARG002  # schemes with alphas read it
        """Remove the alphas whose magnitude is below ``threshold``; a scheme without alphas gives None.

        The spec of a scheme with alphas has ``connections``, which are then those of the result.

        Raises:
            ConfigError: when a task would have nothing left to read; nothing has been changed then.
        """
        return None

    def start_mixing(self, found: Coupling, *, source: str) -> None:  # schemes with alphas start them
        """Let alpha start at ``found`` of the file ``source``, and beta where both schemes have it.

        Tasks are matched by name. Rows that are to be normalised come out normalised. A scheme without alphas has
        nothing to start; its spec has no ``alpha_from``.

        Raises:
            ConfigError: when ``found`` is of other tasks, subspaces or layers, or has numbers at which alpha cannot
                start.
        """


def keep_modules(modules: nn.ModuleDict, tasks: Collection[str]) -> None:
    """Drop the modules of all tasks but these."""
    for task in [task for task in modules if task not in tasks]:
        del modules[task]
