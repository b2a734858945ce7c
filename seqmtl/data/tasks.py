"""A task with its labels: what a checkpoint must know of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seqmtl.errors import LabelError
from seqmtl.labels import LabelInventory, Scheme, convert
from seqmtl.specs.tasks import TaskSpec

Row = Mapping[str, Any]

PREDICATE_LABELS = LabelInventory(("O", "V"))


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

    @property
    def scheme(self) -> Scheme | None:
        """How spans are written in ``labels``; None for plain tags and predicates."""
        if self.spec.head.kind == "srl":
            return Scheme.BIO
        return None if self.spec.scheme is None else Scheme(self.spec.scheme)

    def carried_by(self, row: Row, *, corpus: str) -> bool:
        """Whether ``row`` of ``corpus`` teaches this task."""
        chosen = self.spec.corpora is None or corpus in self.spec.corpora
        return chosen and row.get(self.spec.layer) is not None

    def weight_of(self, row: Row, *, corpus: str) -> int:
        """The labelled words that ``row`` has for this task: its words, for each of its frames in an srl task."""
        if not self.carried_by(row, corpus=corpus):
            return 0
        times = len(row[self.spec.layer]) if self.spec.head.kind == "srl" else 1
        return len(row["tokens"]) * times

    def tags(self, row: Row) -> list[str]:
        """The row's tags of a token-level layer, in the scheme of ``labels``."""
        return inner_tags(self.spec, row[self.spec.layer])

    def to_dict(self) -> dict[str, Any]:
        """A JSON value from which ``from_dict`` builds the task again."""
        return {"name": self.name, "spec": self.spec.model_dump(mode="json"), "labels": list(self.labels.labels)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Build a task from what ``to_dict`` made."""
        spec = TaskSpec.parse(data["spec"], source=f"task {data['name']!r} of the checkpoint")
        return cls(data["name"], spec, LabelInventory(tuple(data["labels"])))


def inner_tags(spec: TaskSpec, tags: Sequence[str]) -> list[str]:
    """Canonical tags (BIO) in the scheme that the task uses inside the model."""
    if spec.scheme is None or spec.scheme == Scheme.BIO:
        return list(tags)
    return convert(tags, source=Scheme.BIO, target=Scheme(spec.scheme))


def build_task(name: str, spec: TaskSpec, rows: Iterable[Row]) -> Task:
    """Collect the labels of a task from the training rows that carry it.

    Raises:
        LabelError: when no row carries the task's layer.
    """
    carriers = [row for row in rows if row.get(spec.layer) is not None]
    if not carriers:
        raise LabelError(f"task {name!r}: no training row carries layer {spec.layer!r}")
    if spec.head.kind == "predicate":
        return Task(name, spec, PREDICATE_LABELS)
    if spec.head.kind == "srl":
        sequences = [frame["tags"] for row in carriers for frame in row[spec.layer]]
        if not sequences:
            raise LabelError(f"task {name!r}: the training rows have layer {spec.layer!r}, but not one predicate")
    else:
        sequences = [inner_tags(spec, row[spec.layer]) for row in carriers]
    return Task(name, spec, LabelInventory.of(sequences))


def unseen_labels(task: Task, rows: Iterable[Row]) -> dict[str, int]:
    """Labels of ``rows`` that the task's inventory lacks, with how often each occurs."""
    missing: dict[str, int] = {}
    for row in rows:
        for sequence in _sequences(task, row):
            for label in sequence:
                if label not in task.labels:
                    missing[label] = missing.get(label, 0) + 1
    return missing


def _sequences(task: Task, row: Row) -> list[Sequence[str]]:
    if row.get(task.spec.layer) is None or task.spec.head.kind == "predicate":
        return []
    if task.spec.head.kind == "srl":
        return [frame["tags"] for frame in row[task.spec.layer]]
    return [task.tags(row)]
