"""What a tagger says, as columns of a ``datasets.Dataset``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datasets import Features, List, Value

from seqmtl.data.kinds import Frames, Predicates
from seqmtl.documents import Annotation
from seqmtl.errors import ConfigError

if TYPE_CHECKING:
    from seqmtl.tagger.tagger import Tagger

TOKENS, STARTS, ENDS = "tokens", "starts", "ends"
_WORDS = List(List(Value("string")))
_OFFSETS = List(List(Value("int64")))
_FRAMES = List(List({"predicate": Value("int32"), "sense": Value("string"), "tags": List(Value("string"))}))


@dataclass(frozen=True)
class Columns:
    """For ``Dataset.map(batched=True)``: a column of texts to a column for each task, with the rows left as they are.

    ``tokens``, ``starts`` and ``ends`` hold, for each sentence of a text, its words and their characters. A column has
    the name of its task and holds, for each sentence, a tag for each word (BIO where tags are spans), or the frames as
    rows of corpora have them, ``{"predicate": int, "sense": str, "tags": list[str]}``.
    """

    tagger: "Tagger"
    column: str

    @property
    def features(self) -> Features:
        """The types of the columns that come about; ``map`` would guess wrong from rows without a frame."""
        kinds = {name: self.tagger.model.tasks[name].kind for name in self.tagger.layers}
        layers = {name: _FRAMES if isinstance(kind, Frames | Predicates) else _WORDS for name, kind in kinds.items()}
        return Features({TOKENS: _WORDS, STARTS: _OFFSETS, ENDS: _OFFSETS, **layers})

    def check(self, present: Sequence[str]) -> None:
        """Make sure that a dataset with the columns ``present`` can be tagged.

        Raises:
            ConfigError: when it lacks the texts, or has a column already whose name would be taken.
        """
        if self.column not in present:
            raise ConfigError(f"column: the dataset has no column {self.column!r}; it has {', '.join(present)}")
        taken = [name for name in self.features if name in present]
        if taken:
            raise ConfigError(f"the dataset has a column {taken[0]!r} already; rename it (`rename_column`)")

    def __call__(self, batch: Mapping[str, Sequence[str]]) -> dict[str, list[list[Any]]]:
        """The columns of a batch of rows."""
        columns: dict[str, list[list[Any]]] = {name: [] for name in self.features}
        for segmented, annotations in self.tagger.annotated(batch[self.column]):
            columns[TOKENS].append(list(segmented.tokens()))
            columns[STARTS].append([[start for start, _ in sentence] for sentence in segmented.sentences])
            columns[ENDS].append([[end for _, end in sentence] for sentence in segmented.sentences])
            for task in self.tagger.layers:
                columns[task].append([_layer(annotation, task) for annotation in annotations])
        return columns


def _layer(annotation: Annotation, task: str) -> list[Any]:
    """What is known of a sentence by one task."""
    if task in annotation.frames:
        return [frame.to_row() for frame in annotation.frames[task]]
    return list(annotation.tags[task] if task in annotation.tags else annotation.span_tags[task])
