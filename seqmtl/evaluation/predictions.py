"""What a model says about rows, in the canonical form of the corpora.

B sentences, T words, H features.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from seqmtl.data.batching import cut_batches
from seqmtl.data.indexing import Indexer
from seqmtl.data.kinds import Frames, Predicates
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task
from seqmtl.errors import ConfigError, nearest
from seqmtl.labels import Frame, Scheme, convert, repaired
from seqmtl.modeling import Roles, SeqMTLModel
from seqmtl.specs.tasks import FRAME_LAYER

TOKENS_PER_BATCH = 2048


@dataclass(frozen=True)
class Prediction:
    """What a model says about one sentence.

    Attributes:
        tags: BIO or plain tags of each softmax or crf task.
        predicates: predicate words of each predicate task, ascending.
        frames_of_gold: of each srl task, for the predicates that the row has, in their order; empty for a row without
            a layer of frames.
        found_frames: of each srl task that names a predicate task, for the predicates that this one finds, ascending.
    """

    tags: Mapping[str, list[str]] = field(default_factory=dict)
    predicates: Mapping[str, list[int]] = field(default_factory=dict)
    frames_of_gold: Mapping[str, list[Frame]] = field(default_factory=dict)
    found_frames: Mapping[str, list[Frame]] = field(default_factory=dict)


FrameAt = Mapping[tuple[int, int], Frame]  # by sentence and word
Said = TypeVar("Said")


class Reader(Protocol):
    """What reads labels off features: a model, by the best decoder of each task, or an ``Ensemble`` of its decoders."""

    def decode_words(self, task: str, features: Tensor, mask: Tensor) -> Tensor:
        """Label ids of a token-level task, ``[B, T]``."""
        ...

    def decode_roles(self, task: str, features: Tensor, mask: Tensor, *, predicates: Tensor) -> Roles:
        """Roles of the ``predicates`` ``[N, 2]``."""
        ...


class Annotates(Protocol[Said]):
    """What says something about each row of a batch."""

    model: SeqMTLModel
    indexer: Indexer

    def __call__(self, rows: Sequence[Row]) -> list[Said]:
        """What is said of each row."""
        ...


class Annotator:
    """Annotates sentences with a model, each sentence encoded once whatever the number of tasks and predicates."""

    def __init__(
        self,
        model: SeqMTLModel,
        indexer: Indexer,
        *,
        tasks: Sequence[str] | None = None,
        reader: Reader | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        """Annotate with ``tasks``, None: all of the model's, by ``reader``, None: the model itself.

        An srl task brings the predicate task that it names along, whose predicates are shown only if it is asked for.
        With ``autocast`` matrices are multiplied in that type, whatever type the weights have (``torch.autocast``).

        Raises:
            ConfigError: when the model has no such task.
        """
        for name in tasks or ():
            if name not in model.tasks:
                raise ConfigError(f"the model has no task {name!r}; {nearest(name, model.tasks)}")
        self.model = model
        self.indexer = indexer
        self._reader: Reader = model if reader is None else reader
        self._autocast = autocast
        self.tasks = list(model.tasks) if tasks is None else list(tasks)
        kinds = {name: model.tasks[name].kind for name in self.tasks}
        self._roles = [name for name, kind in kinds.items() if isinstance(kind, Frames)]
        self._shown = [name for name, kind in kinds.items() if isinstance(kind, Predicates)]
        self._tagged = [name for name in self.tasks if name not in (*self._roles, *self._shown)]
        named = {name: model.tasks[name].spec.predicates for name in self._roles}
        self._finder_of = {name: finder for name, finder in named.items() if finder is not None}
        self._finders = list(dict.fromkeys((*self._shown, *self._finder_of.values())))

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Row]) -> list[Prediction]:
        """Annotate one batch of rows; gold predicates are taken from the rows that have frames."""
        if self._autocast is None:
            return self._annotate(rows)
        with torch.autocast(self.model.device.type, dtype=self._autocast):
            return self._annotate(rows)

    def _annotate(self, rows: Sequence[Row]) -> list[Prediction]:
        inputs = self.indexer([row["tokens"] for row in rows]).to(self.model.device)
        features = self.model.features(inputs, [*self._tagged, *self._finders, *self._roles])
        mask = inputs.word_mask
        ids = {
            name: self._reader.decode_words(name, features[name], mask).tolist()
            for name in (*self._tagged, *self._finders)
        }
        given = [gold_predicates(row) for row in rows]
        found = {name: predicate_words(ids[name], rows) for name in self._finders}
        frame_at: dict[str, FrameAt] = {}
        for name in self._roles:
            asked = [found[self._finder_of[name]]] if name in self._finder_of else []
            asked.append([words or [] for words in given])
            frame_at[name] = self._label(name, features[name], mask, rows, wanted=_merged(asked))
        return [
            Prediction(
                tags={name: word_tags(ids[name][b], row, self.model.tasks[name]) for name in self._tagged},
                predicates={name: found[name][b] for name in self._shown},
                frames_of_gold={
                    name: [frame_at[name][b, word] for word in words]
                    for name in self._roles
                    if (words := given[b]) is not None
                },
                found_frames={
                    name: [frame_at[name][b, word] for word in found[finder][b]]
                    for name, finder in self._finder_of.items()
                },
            )
            for b, row in enumerate(rows)
        ]

    def _label(
        self, name: str, features: Tensor, mask: Tensor, rows: Sequence[Row], *, wanted: Sequence[tuple[int, int]]
    ) -> FrameAt:
        """The frames of the ``wanted`` (sentence, word) pairs, all labelled in one pass."""
        which = torch.tensor(wanted, dtype=torch.long, device=features.device).reshape(-1, 2)
        roles = self._reader.decode_roles(name, features, mask, predicates=which)
        return frames_at(wanted, roles.labels.tolist(), rows, self.model.tasks[name])


def annotate(
    annotator: Annotates[Said],
    rows: Sequence[Row],
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    part: tuple[int, int] = (0, 1),
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Said]]:
    """Annotate rows in length-sorted batches.

    Args:
        annotator: the model with its indexer.
        rows: sentences, of which ``tokens`` and, for gold predicates, ``srl_frames`` are read.
        tokens_per_batch: longest sentence times sentences, at most, in what the encoder reads.
        part: (rank, processes): this process takes every ``processes``-th batch.
        advance: told how many sentences are done after each batch.

    Yields:
        (position in ``rows``, what is said of it), in no particular order, each position once over all parts.
    """
    rank, processes = part
    lengths = [annotator.indexer.length(row["tokens"]) for row in rows]
    batches = cut_batches(lengths, budget=tokens_per_batch, max_sentences=512, rng=None)
    was_training = annotator.model.training
    annotator.model.eval()
    try:
        for batch in batches[rank::processes]:
            yield from zip(batch, annotator([rows[position] for position in batch]), strict=True)
            if advance is not None:
                advance(len(batch))
    finally:
        annotator.model.train(was_training)


def canonical(tags: Sequence[str], task: Task) -> list[str]:
    """A task's tags as the corpora write them: BIO for span layers, others as they are."""
    if task.scheme is None or task.scheme is Scheme.BIO:
        return list(tags)
    # Free decoding may leave a sequence that its scheme does not allow, which cannot be converted as it stands.
    return convert(repaired(tags, scheme=task.scheme), source=task.scheme, target=Scheme.BIO)


def word_tags(ids: Sequence[int], row: Row, task: Task) -> list[str]:
    """Label ids of a row's words to canonical tags: BIO for span layers."""
    return canonical(task.labels.tags(ids[: len(row["tokens"])]), task)


def predicate_words(labels: Sequence[Sequence[int]], rows: Sequence[Row]) -> list[list[int]]:
    """Words with label 1, per sentence."""
    return [[t for t in range(len(row["tokens"])) if ids[t] == 1] for ids, row in zip(labels, rows, strict=True)]


def frames_at(
    wanted: Sequence[tuple[int, int]], labels: Sequence[Sequence[int]], rows: Sequence[Row], task: Task
) -> dict[tuple[int, int], Frame]:
    """The frames of the ``wanted`` (sentence, word) pairs, from label ids of the words of each."""
    return {
        (b, word): Frame(predicate=word, sense="", tags=tuple(task.labels.tags(ids[: len(rows[b]["tokens"])])))
        for (b, word), ids in zip(wanted, labels, strict=True)
    }


def gold_predicates(row: Row) -> list[int] | None:
    """The predicates of the row's frames, in their order; None when the row has no such layer."""
    frames = row.get(FRAME_LAYER)
    return None if frames is None else [frame["predicate"] for frame in frames]


def _merged(asked: Sequence[Sequence[Iterable[int]]]) -> list[tuple[int, int]]:
    """Words asked for by several sides, per sentence, as (sentence, word) pairs, each once, ascending."""
    return sorted({(b, word) for side in asked for b, words in enumerate(side) for word in words})
