"""A task with its labels: what a checkpoint must know of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from seqmtl.batch import IGNORED, Targets
from seqmtl.data.kinds import AnyKind, Ids, Row, kind_of, n_learned
from seqmtl.errors import LabelError, nearest
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.specs.tasks import TaskSpec


@dataclass(frozen=True)
class Task:
    """A task and its label inventory, in order.

    Attributes:
        name: the task's name in the recipe.
        spec: what was asked for.
        labels: the inventory that its head predicts.
    """

    name: str
    spec: TaskSpec
    labels: LabelInventory

    @cached_property
    def kind(self) -> AnyKind:
        """What the task reads off a row."""
        return kind_of(self.spec)

    @property
    def scheme(self) -> Scheme | None:
        """How spans are written in ``labels``; None for plain tags and predicates."""
        return self.kind.scheme

    def carried_by(self, row: Row, *, corpus: str) -> bool:
        """Whether ``row`` of ``corpus`` teaches this task, and is scored for it."""
        chosen = self.spec.corpora is None or corpus in self.spec.corpora
        return chosen and row.get(self.spec.layer) is not None

    def sequences(self, row: Row, *, corpus: str) -> list[list[str]]:
        """The row's gold label sequences, in the scheme of ``labels``; none if the row does not carry the task."""
        return self.kind.sequences(row) if self.carried_by(row, corpus=corpus) else []

    def label_ids(self, row: Row, *, corpus: str) -> list[Ids]:
        """The ids of the row's gold sequences, ``IGNORED`` where there is nothing to learn beside an unseen label.

        Raises:
            LabelError: naming corpus, row and label, when a label is not in the inventory and the task does not allow
                it.
        """
        return [self._ids(sequence, row=row, corpus=corpus) for sequence in self.sequences(row, corpus=corpus)]

    def weight_of(self, row: Row, *, corpus: str) -> int:
        """The labels that ``row`` teaches this task: its words, for each of its frames in an srl task."""
        if not self.carried_by(row, corpus=corpus):
            return 0
        if self.spec.unseen_labels == "error":  # all are learned, or ``targets`` raises
            return self.kind.size(row)
        return sum(n_learned(ids) for ids in self.label_ids(row, corpus=corpus))

    def targets(self, rows: Sequence[tuple[str, Row]], *, width: int) -> Targets:
        """The gold labels of the (corpus, row) pairs of a batch, padded to ``width`` words.

        Raises:
            LabelError: as ``label_ids``.
        """
        carriers = [
            (number, row, self.label_ids(row, corpus=corpus))
            for number, (corpus, row) in enumerate(rows)
            if self.carried_by(row, corpus=corpus)
        ]
        return self.kind.targets(carriers, width=width)

    def to_dict(self) -> dict[str, Any]:
        """A JSON value from which ``from_dict`` builds the task again."""
        return {"name": self.name, "spec": self.spec.model_dump(mode="json"), "labels": list(self.labels.labels)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a task from what ``to_dict`` made."""
        spec = TaskSpec.parse(data["spec"], source=f"task {data['name']!r} of the checkpoint")
        return cls(data["name"], spec, LabelInventory(tuple(data["labels"])))

    def _ids(self, sequence: Sequence[str], *, row: Row, corpus: str) -> Ids:
        if all(label in self.labels for label in sequence):
            return self.labels.ids(sequence)
        if self.spec.unseen_labels == "error":
            unseen = next(label for label in sequence if label not in self.labels)
            raise LabelError(
                f"task {self.name!r}: row {row.get('id')!r} of corpus {corpus!r} has the label {unseen!r}, which is "
                f"not among the {len(self.labels)} that were collected for training; "
                f"{nearest(unseen, self.labels.labels)}\n"
                f"mend the row, or set tasks.{self.name}.unseen_labels=allow: such labels are then not learned"
            )
        return self.kind.learnable(
            [self.labels.ids([label])[0] if label in self.labels else IGNORED for label in sequence]
        )


def build_task(name: str, spec: TaskSpec, rows: Iterable[Row]) -> Task:
    """Collect the labels of a task from the training rows that carry it.

    Raises:
        LabelError: when no row carries the task's layer, or all that carry it are empty.
    """
    carriers = [row for row in rows if row.get(spec.layer) is not None]
    if not carriers:
        raise LabelError(f"task {name!r}: no training row carries layer {spec.layer!r}")
    kind = kind_of(spec)
    labels = kind.inventory(carriers)
    if not len(labels):
        raise LabelError(f"task {name!r}: the training rows have layer {spec.layer!r}, but not one {kind.unit}")
    return Task(name, spec, labels)


def unseen_labels(task: Task, rows: Iterable[Row], *, corpus: str) -> dict[str, int]:
    """Labels of ``rows`` of ``corpus`` that the task's inventory lacks, with how often each occurs."""
    found = Counter(label for row in rows for tags in task.sequences(row, corpus=corpus) for label in tags)
    return {label: count for label, count in found.items() if label not in task.labels}
