"""Predicate-argument frames, as tags over words and as the arguments that the CoNLL-2005 scorer counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from seqmtl.labels.schemes import lenient_spans

PREDICATE_LABEL = "V"
CONTINUATION = "C-"


@dataclass(frozen=True)
class Frame:
    """One predicate of a sentence: the index of its word, its sense, and a BIO tag for each word of the sentence."""

    predicate: int
    sense: str
    tags: tuple[str, ...]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read one member of the ``srl_frames`` of a canonical row."""
        return cls(predicate=row["predicate"], sense=row["sense"], tags=tuple(row["tags"]))

    def to_row(self) -> dict[str, Any]:
        """The frame as a member of the ``srl_frames`` of a canonical row."""
        return {"predicate": self.predicate, "sense": self.sense, "tags": list(self.tags)}


@dataclass(frozen=True)
class Argument:
    """An argument of a frame: its label and its pieces (start, end exclusive) in order; most have one piece."""

    label: str
    pieces: tuple[tuple[int, int], ...]


def arguments(tags: Sequence[str]) -> list[Argument]:
    """Return the arguments of a frame as the official CoNLL-2005 scorer ``srl-eval.pl`` counts them, by first word.

    ``C-X`` is a further piece of the latest X before it, and a plain X where there is none. ``V`` is left out, and so
    are the pieces that ``C-V`` adds to it. ``R-X`` is a label like any other. Tags are read leniently.

    Raises:
        LabelError: when something is not a span tag at all.
    """
    pieces: list[list[tuple[int, int]]] = []
    labels: list[str] = []
    for span in lenient_spans(tags):
        label = span.label.removeprefix(CONTINUATION)
        owner = _latest(labels, label) if label != span.label else None
        if owner is None:
            labels.append(label)
            pieces.append([])
            owner = len(labels) - 1
        pieces[owner].append((span.start, span.end))
    return [
        Argument(label, tuple(found)) for label, found in zip(labels, pieces, strict=True) if label != PREDICATE_LABEL
    ]


def _latest(labels: Sequence[str], label: str) -> int | None:
    """The last index of ``label``, if it occurs."""
    return next((index for index in reversed(range(len(labels))) if labels[index] == label), None)
