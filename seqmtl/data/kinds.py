"""The kinds of annotation: what a task reads off a row, and the form in which its head learns it.

A row has one or more label sequences per task, each as long as the sentence: a sentence's tags, or those of each frame.
``kind_of`` is the one place that asks which head a task has.

R rows that carry the layer, N predicates, T words.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never

import numpy as np
import torch

from seqmtl.batch import IGNORED, FrameTargets, Targets, TokenTargets
from seqmtl.data.rows import Row
from seqmtl.labels import LabelInventory, Scheme, convert
from seqmtl.specs.tasks import CRFHeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec, TaskSpec

Ids = list[int]  # label ids of one sequence, IGNORED where there is nothing to learn

PREDICATE_LABELS = LabelInventory(("O", "V"))


def word_by_word(ids: Ids) -> Ids:
    """What a head learns from a sequence in which words are decided one by one: all but its unknown labels."""
    return ids


def all_or_nothing(ids: Ids) -> Ids:
    """What a chain learns from a sequence: all of it, or nothing when a label is unknown, because it has no gaps."""
    return [IGNORED] * len(ids) if IGNORED in ids else ids


@dataclass(frozen=True)
class Kind(ABC):
    """What a task reads off a row.

    Attributes:
        layer: the key of the annotation in a row.
    """

    layer: str

    @property
    @abstractmethod
    def scheme(self) -> Scheme | None:
        """How spans are written in the labels; None for plain tags and predicates."""

    @property
    @abstractmethod
    def unit(self) -> str:
        """What one label, or one sequence of them, is about."""

    @abstractmethod
    def sequences(self, row: Row) -> list[list[str]]:
        """The gold label sequences of a row that has the layer."""

    @abstractmethod
    def size(self, row: Row) -> int:
        """How many labels the sequences of a row have."""

    def inventory(self, rows: Iterable[Row]) -> LabelInventory:
        """The labels of rows that have the layer."""
        return LabelInventory.of(sequence for row in rows for sequence in self.sequences(row))

    def learnable(self, ids: Ids) -> Ids:
        """The ids of a sequence with ``IGNORED`` wherever the head cannot learn beside unknown labels."""
        return word_by_word(ids)

    @abstractmethod
    def targets(self, rows: Sequence[tuple[int, Row, list[Ids]]], *, width: int) -> Targets:
        """The targets of (place in the batch, row, ids of its sequences), padded to ``width`` words.

        Sequences without a label to learn are left out.
        """


class TokenKind(Kind):
    """One label sequence per sentence."""

    @property
    def unit(self) -> str:
        """Each word has a label."""
        return "word"

    def size(self, row: Row) -> int:
        """One per word."""
        return len(row["tokens"])

    def targets(self, rows: Sequence[tuple[int, Row, list[Ids]]], *, width: int) -> TokenTargets:
        """Labels ``[R, T]`` of rows ``[R]``."""
        learned = [(number, ids) for number, _, sequences in rows for ids in sequences if n_learned(ids)]
        numbers = torch.tensor([number for number, _ in learned], dtype=torch.long)
        return TokenTargets(numbers, _label_matrix([ids for _, ids in learned], width))


@dataclass(frozen=True)
class PlainTags(TokenKind):
    """A tag per word, for example parts of speech.

    Attributes:
        skip: what the head learns beside unknown labels.
    """

    skip: Callable[[Ids], Ids]

    @property
    def scheme(self) -> None:
        """There are no spans."""
        return None

    def sequences(self, row: Row) -> list[list[str]]:
        """The tags as they are."""
        return [list(row[self.layer])]

    def learnable(self, ids: Ids) -> Ids:
        """As the head skips."""
        return self.skip(ids)


@dataclass(frozen=True)
class Spans(TokenKind):
    """Spans written as tags, for example names: BIO in the rows, perhaps another scheme inside the model.

    Attributes:
        inner: the scheme inside the model.
        skip: what the head learns beside unknown labels.
    """

    inner: Scheme
    skip: Callable[[Ids], Ids]

    @property
    def scheme(self) -> Scheme:
        """The scheme inside the model."""
        return self.inner

    def sequences(self, row: Row) -> list[list[str]]:
        """The tags in the scheme inside the model."""
        tags = row[self.layer]
        return [list(tags) if self.inner is Scheme.BIO else convert(tags, source=Scheme.BIO, target=self.inner)]

    def learnable(self, ids: Ids) -> Ids:
        """As the head skips."""
        return self.skip(ids)


class Predicates(TokenKind):
    """Which words are predicates of frames."""

    @property
    def scheme(self) -> None:
        """There are no spans."""
        return None

    def sequences(self, row: Row) -> list[list[str]]:
        """V at the predicates, O elsewhere; no frame gives O everywhere."""
        places = {frame["predicate"] for frame in row[self.layer]}
        return [["V" if place in places else "O" for place in range(len(row["tokens"]))]]

    def inventory(self, rows: Iterable[Row]) -> LabelInventory:  # noqa: ARG002
        """O and V, whatever the rows hold."""
        return PREDICATE_LABELS


class Frames(Kind):
    """The roles of each predicate; a sentence without predicates has no sequence."""

    @property
    def scheme(self) -> Scheme:
        """Roles are BIO in the rows and in the model."""
        return Scheme.BIO

    @property
    def unit(self) -> str:
        """Each predicate has a sequence."""
        return "predicate"

    def size(self, row: Row) -> int:
        """One per word and frame."""
        return len(row["tokens"]) * len(row[self.layer])

    def sequences(self, row: Row) -> list[list[str]]:
        """The tags of each frame."""
        return [list(frame["tags"]) for frame in row[self.layer]]

    def targets(self, rows: Sequence[tuple[int, Row, list[Ids]]], *, width: int) -> FrameTargets:
        """Labels ``[N, T]`` of predicates ``[N, 2]``."""
        learned = [
            ((number, frame["predicate"]), ids)
            for number, row, sequences in rows
            for frame, ids in zip(row[self.layer], sequences, strict=True)
            if n_learned(ids)
        ]
        places = torch.tensor([place for place, _ in learned], dtype=torch.long).reshape(-1, 2)
        return FrameTargets(places, _label_matrix([ids for _, ids in learned], width))


AnyKind: TypeAlias = PlainTags | Spans | Predicates | Frames


def kind_of(spec: TaskSpec) -> AnyKind:
    """The kind of annotation that a task learns."""
    match spec.head:
        case SoftmaxHeadSpec():
            return _tags(spec, skip=word_by_word)
        case CRFHeadSpec():
            return _tags(spec, skip=all_or_nothing)
        case PredicateHeadSpec():
            return Predicates(spec.layer)
        case SRLHeadSpec():
            return Frames(spec.layer)
        case _:
            assert_never(spec.head)


def _tags(spec: TaskSpec, *, skip: Callable[[Ids], Ids]) -> PlainTags | Spans:
    return PlainTags(spec.layer, skip) if spec.scheme is None else Spans(spec.layer, Scheme(spec.scheme), skip)


def n_learned(ids: Ids) -> int:
    """How many labels of a sequence are learned."""
    return len(ids) - ids.count(IGNORED)


def _label_matrix(labels: Sequence[Ids], width: int) -> torch.Tensor:
    """Label ids, right-padded with ``IGNORED``, ``[n, width]``."""
    matrix = np.full((len(labels), width), IGNORED, dtype=np.int64)
    for row, sequence in zip(matrix, labels, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(matrix)
