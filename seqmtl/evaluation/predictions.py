"""What a model says about rows, in the canonical form of the corpora.

B sentences, T words, N predicates.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqmtl.batch import Inputs
from seqmtl.data.batching import cut_batches
from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import Row, Task
from seqmtl.errors import ConfigError, nearest
from seqmtl.heads.srl import SRLHead
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
        frames: of each srl task, for the gold predicates where there are any, in their order; else for the found ones.
        found_frames: of each srl task, for the predicates that its predicate task found.
    """

    tags: Mapping[str, list[str]] = field(default_factory=dict)
    predicates: Mapping[str, list[int]] = field(default_factory=dict)
    frames: Mapping[str, list[Frame]] = field(default_factory=dict)
    found_frames: Mapping[str, list[Frame]] = field(default_factory=dict)


class Annotator:
    """Annotates sentences with a model, each sentence encoded once whatever the number of tasks and predicates."""

    def __init__(self, model: SeqMTLModel, indexer: Indexer, *, tasks: Sequence[str] | None = None) -> None:
        """Annotate with ``tasks``; None: all of the model's.

        Raises:
            ConfigError: when the model has no such task.
        """
        for name in tasks or ():
            if name not in model.tasks:
                raise ConfigError(f"the model has no task {name!r}; {nearest(name, model.tasks)}")
        self.model = model
        self.indexer = indexer
        self.tasks = list(model.tasks) if tasks is None else list(tasks)
        self._roles = [name for name in self.tasks if isinstance(model.heads[name], SRLHead)]
        finders = [spec.predicates for spec in (model.tasks[name].spec for name in self._roles)]
        self._words = [name for name in self.tasks if name not in self._roles]
        self._hidden = [name for name in dict.fromkeys(finders) if name is not None and name not in self._words]

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Row]) -> list[Prediction]:
        """Annotate one batch of rows; gold predicates are taken from the rows that have frames."""
        inputs = self.indexer([row["tokens"] for row in rows])
        inputs = inputs.to(self.model.device)
        features = self.model.features(inputs, [*self._words, *self._hidden, *self._roles])
        mask = inputs.word_mask
        labels = {name: self.model.decode(name, features[name], mask) for name in [*self._words, *self._hidden]}
        words = {name: value.tolist() for name, value in labels.items() if isinstance(value, Tensor)}
        found = {name: _positions(words[name], rows) for name in words if self._finds(name)}
        roles = {name: self._frames(name, features[name], inputs, rows, found) for name in self._roles}
        return [
            Prediction(
                tags={name: self._tags(name, words[name][b], row) for name in self._words if not self._finds(name)},
                predicates={name: found[name][b] for name in self._words if self._finds(name)},
                frames={name: roles[name][0][b] for name in roles},
                found_frames={name: roles[name][1][b] for name in roles},
            )
            for b, row in enumerate(rows)
        ]

    def _finds(self, name: str) -> bool:
        return self.model.tasks[name].spec.head.kind == "predicate"

    def _tags(self, name: str, ids: list[int], row: Row) -> list[str]:
        """Label ids to canonical tags: BIO for span layers."""
        task = self.model.tasks[name]
        tags = task.labels.tags(ids[: len(row["tokens"])])
        return canonical(tags, task)

    def _frames(
        self, name: str, features: Tensor, inputs: Inputs, rows: Sequence[Row], found: Mapping[str, list[list[int]]]
    ) -> tuple[list[list[Frame]], list[list[Frame]]]:
        """Frames of the given predicates, and of the found ones, per sentence; both kinds are labelled in one pass."""
        task = self.model.tasks[name]
        finder = task.spec.predicates
        mine: list[list[int]] = [[] for _ in rows] if finder is None else found[finder]
        given = [_gold_predicates(row) for row in rows]
        wanted: list[set[int]] = [{*(given[b] or []), *mine[b]} for b in range(len(rows))]
        pairs = [(b, word) for b, words in enumerate(wanted) for word in sorted(words)]
        which = torch.tensor(pairs, dtype=torch.long, device=features.device).reshape(-1, 2)
        labelled = self.model.decode(name, features, inputs.word_mask, predicates=which)
        assert isinstance(labelled, Roles)
        frame_of: dict[tuple[int, int], Frame] = {}
        for (b, word), ids in zip(pairs, labelled.labels.tolist(), strict=True):
            tags = task.labels.tags(ids[: len(rows[b]["tokens"])])
            frame_of[b, word] = Frame(predicate=word, sense="", tags=tuple(tags))
        found_frames = [[frame_of[b, word] for word in mine[b]] for b in range(len(rows))]
        asked = [mine[b] if given[b] is None else given[b] or [] for b in range(len(rows))]
        return [[frame_of[b, word] for word in words] for b, words in enumerate(asked)], found_frames


def annotate(
    annotator: Annotator,
    rows: Sequence[Row],
    *,
    tokens_per_batch: int = TOKENS_PER_BATCH,
    part: tuple[int, int] = (0, 1),
    advance: Callable[[int], None] | None = None,
) -> Iterator[tuple[int, Prediction]]:
    """Annotate rows in length-sorted batches.

    Args:
        annotator: the model with its indexer.
        rows: sentences, of which ``tokens`` and, for gold predicates, ``srl_frames`` are read.
        tokens_per_batch: longest sentence times sentences, at most, in what the encoder reads.
        part: (rank, processes): this process takes every ``processes``-th batch.
        advance: told how many sentences are done after each batch.

    Yields:
        (position in ``rows``, prediction), in no particular order, each position once over all parts.
    """
    rank, processes = part
    lengths = [annotator.indexer.length(row["tokens"]) for row in rows]
    batches = cut_batches(lengths, budget=tokens_per_batch, max_sentences=512, rng=None)
    was_training = annotator.model.training
    annotator.model.eval()
    for batch in batches[rank::processes]:
        yield from zip(batch, annotator([rows[position] for position in batch]), strict=True)
        if advance is not None:
            advance(len(batch))
    annotator.model.train(was_training)


def canonical(tags: Sequence[str], task: Task) -> list[str]:
    """A task's tags as the corpora write them: BIO for span layers, others as they are."""
    if task.scheme is None or task.scheme is Scheme.BIO:
        return list(tags)
    # Free decoding may leave a sequence that its scheme does not allow, which cannot be converted as it stands.
    return convert(repaired(tags, scheme=task.scheme), source=task.scheme, target=Scheme.BIO)


def _positions(labels: list[list[int]], rows: Sequence[Row]) -> list[list[int]]:
    """Words with label 1, per sentence."""
    return [[t for t in range(len(row["tokens"])) if ids[t] == 1] for ids, row in zip(labels, rows, strict=True)]


def _gold_predicates(row: Row) -> list[int] | None:
    """The predicates of the row's frames, in their order; None when the row has no such layer."""
    frames = row.get(FRAME_LAYER)
    return None if frames is None else [frame["predicate"] for frame in frames]
