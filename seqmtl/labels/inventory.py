"""The labels of one layer, in the order of their ids."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from seqmtl.errors import LabelError, nearest
from seqmtl.labels.schemes import OUTSIDE


@dataclass(frozen=True)
class LabelInventory:
    """The labels of one layer; the id of a label is its place. A checkpoint stores ``labels`` as they are."""

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        assert len(set(self.labels)) == len(self.labels), f"labels repeat: {self.labels}"

    @classmethod
    def of(cls, sequences: Iterable[Iterable[str]]) -> Self:
        """Collect the labels of a corpus, sorted, with ``O`` first when it occurs."""
        found = {tag for tags in sequences for tag in tags}
        return cls(tuple(sorted(found, key=lambda label: (label != OUTSIDE, label))))

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {label: index for index, label in enumerate(self.labels)}

    def ids(self, tags: Sequence[str]) -> list[int]:
        """Return the id of each tag.

        Raises:
            LabelError: at the first tag that the inventory lacks.
        """
        try:
            return [self._id_of[tag] for tag in tags]
        except KeyError as error:
            raise LabelError(
                f"the label {error.args[0]!r} is not among the {len(self)} labels of the layer; "
                f"{nearest(error.args[0], self.labels)}; a label must occur in the training data"
            ) from None

    def tags(self, ids: Iterable[int]) -> list[str]:
        """Return the label of each id."""
        return [self.labels[index] for index in ids]

    def __len__(self) -> int:
        return len(self.labels)

    def __contains__(self, label: str) -> bool:
        return label in self._id_of
