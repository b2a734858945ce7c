"""Raw text to annotated documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, get_args

import torch
from datasets import Dataset, Features

from seqmtl.checkpoints import load_checkpoint, save_checkpoint
from seqmtl.compiling import compile_transformer
from seqmtl.configuration import SeqMTLConfig
from seqmtl.data.indexing import Indexer
from seqmtl.data.kinds import Frames, PlainTags
from seqmtl.data.rows import Row
from seqmtl.documents import Annotation, Document, build_document
from seqmtl.errors import ConfigError
from seqmtl.evaluation.annotations import predicted_annotation
from seqmtl.evaluation.predictions import Annotator, Reader, annotate
from seqmtl.modeling import SeqMTLModel
from seqmtl.publishing import push_to_hub
from seqmtl.tagger.columns import Columns
from seqmtl.tagger.speed import lowered, transformer_of
from seqmtl.tagger.windows import Segmented, windows

Precision = Literal["fp32", "bf16", "int8"]

# What keeps a processor busy: on a CPU a batch should stay near its caches.
_ON_CPU, _ELSEWHERE = 1024, 16384
_LOOK_AHEAD = 2**16  # words, some 100 MB of documents


class Tagger:
    """Tags raw text with every layer that its model knows, each sentence encoded once.

    Sentences are sorted by length and batched by a budget of what the encoder reads (sub-words, or words), then put
    back in order: those of as many texts as it takes to fill some batches, so that any number of texts can be tagged in
    the same memory.
    """

    def __init__(
        self,
        model: SeqMTLModel,
        indexer: Indexer,
        *,
        tasks: Sequence[str] | None = None,
        reader: Callable[[SeqMTLModel], Reader] | None = None,
        precision: Precision = "fp32",
        compiled: bool = False,
        tokens_per_batch: int | None = None,
    ) -> None:
        """Tag with a model.

        Args:
            model: on the device where it is to run.
            indexer: what it reads with.
            tasks: tag with these; None: all.
            reader: ``Ensemble`` lets all decoders of a task decide together; None: the best.
            precision: ``bf16`` multiplies matrices in bfloat16, where that is fast; ``int8``, on a CPU, the linear maps
                below the heads in eight bits. ``model`` itself stays as it is.
            compiled: let ``torch.compile`` make programs of the transformer, in place, when it is first used.
            tokens_per_batch: longest sentence times sentences, at most, in what the encoder reads; None: what suits
                the device.

        Raises:
            CheckpointError: when an srl task names no predicate task, so that it would give no frames.
            ConfigError: when the model has no such task, or no ensemble, or cannot be run in the way that is asked for.
        """
        if precision not in get_args(Precision):
            raise ConfigError(f"precision: got {precision!r}; allowed: {', '.join(get_args(Precision))}")
        if tokens_per_batch is not None and tokens_per_batch < 1:
            raise ConfigError(f"tokens_per_batch: got {tokens_per_batch}; allowed: 1 or more, None")
        self.model = model.eval()
        self.indexer = indexer
        self._made_with = {
            "tasks": tasks,
            "reader": reader,
            "precision": precision,
            "compiled": compiled,
            "tokens_per_batch": tokens_per_batch,
        }
        running = lowered(model) if precision == "int8" else model
        if compiled:
            transformer_of(running, option="compiled")
            compile_transformer(running)
        self._annotator = Annotator(
            running,
            indexer,
            tasks=tasks,
            reader=None if reader is None else reader(running),
            autocast=torch.bfloat16 if precision == "bf16" else None,
        )
        for task in self._annotator.tasks:
            if isinstance(model.tasks[task].kind, Frames):
                model.finder(task)
        self.tokens_per_batch = tokens_per_batch or (_ON_CPU if model.device.type == "cpu" else _ELSEWHERE)

    def __reduce__(self) -> tuple[Any, ...]:
        """For other processes, and for hashes of ``datasets``: no hooks, and nothing that tagging has left behind."""
        model = self.model
        weights = {name: value.detach() for name, value in model.state_dict().items()}
        return _revived, (model.config, weights, model.device, model.dtype, self.indexer, self._made_with)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        tasks: Sequence[str] | None = None,
        reader: Callable[[SeqMTLModel], Reader] | None = None,
        device: str = "cpu",
        precision: Precision = "fp32",
        compiled: bool = False,
        tokens_per_batch: int | None = None,
        revision: str | None = None,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        subfolder: str = "",
    ) -> Self:
        """Load a checkpoint.

        Args:
            name: the folder of a run, or the name of a model on the hub.
            tasks: tag with these; no weights are read but theirs and of what they need. None: all.
            reader: ``Ensemble`` lets all decoders of a task decide together, where the run kept them; None: the best.
            device: where the model runs, as torch calls it.
            precision: as in the constructor.
            compiled: as in the constructor.
            tokens_per_batch: as in the constructor.
            revision: branch, tag or commit on the hub; None: the main branch.
            token: for a model that not everybody may see; None: the one with which this machine is logged in, if any.
            cache_dir: where to keep what comes from the hub; None: where its client keeps it.
            local_files_only: look into the cache and ask nobody.
            subfolder: in which the checkpoint lies.

        Raises:
            CheckpointError: when there is no such checkpoint, its parts do not fit, it asks for a pickle or for code to
                be run, or an srl task names no predicate task; ``HubError`` when it is not to be had from the hub.
            ConfigError: when it has no such task, or no ensemble.
        """
        model, indexer = load_checkpoint(
            name,
            tasks=tasks,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            subfolder=subfolder,
        )
        model.to(device)  # pyright: ignore[reportArgumentType]
        return cls(
            model,
            indexer,
            tasks=tasks,
            reader=reader,
            precision=precision,
            compiled=compiled,
            tokens_per_batch=tokens_per_batch,
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write a checkpoint: the model, with all its tasks, and what it reads with."""
        save_checkpoint(Path(folder), self.model, self.indexer)

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        token: str | bool | None = None,
        revision: str | None = None,
        licence: str | None = None,
    ) -> str:
        """Publish the model and what it reads with, under a card that knows nothing of its training.

        ``seqmtl.push_to_hub`` publishes a run, with its recipe and its scores; the arguments are the same.

        Raises:
            HubError: when the hub does not let this person write there, or cannot be reached.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push_to_hub(folder, repo, private=private, token=token, revision=revision, licence=licence)

    @property
    def word_layers(self) -> tuple[str, ...]:
        """The tasks that give every word a plain tag."""
        return tuple(name for name in self._annotator.tasks if isinstance(self.model.tasks[name].kind, PlainTags))

    @property
    def layers(self) -> tuple[str, ...]:
        """The tasks that have a layer of their own in documents: predicates that have frames stand in these."""
        tasks = self._annotator.tasks
        in_frames = {self.model.tasks[name].spec.predicates for name in tasks}
        return tuple(name for name in tasks if name not in in_frames)

    def __call__(self, text: str) -> Document:
        """Tag one text; an empty one gives a document without sentences."""
        return self.tag([text])[0]

    def tag(self, texts: Iterable[str]) -> list[Document]:
        """Tag many texts at once, which is faster than one by one.

        Raises:
            ConfigError: when it is one text.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str], *, look_ahead: int | None = None) -> Iterator[Document]:
        """Tag any number of texts, as they are asked for, in order and in the same memory however many there are.

        Args:
            texts: asked for when a document is; when asking fails, the documents of those before come first.
            look_ahead: so many words are read before the first document comes; more of them pad less, one of them tags
                text by text. None: some batches.

        Raises:
            ConfigError: when it is one text, of which every letter would be tagged.
        """
        if isinstance(texts, str):
            raise ConfigError("texts: got one text, where many are expected; `tagger(text)` tags one")
        return (
            build_document(segmented.text, sentences=segmented.sentences, annotations=annotations)
            for segmented, annotations in self.annotated(texts, look_ahead=look_ahead)
        )

    def tag_dataset(self, dataset: Dataset, *, column: str = "text") -> Dataset:
        """Add a column for each layer to a dataset of texts; see ``Columns``.

        ``dataset.map(Columns(tagger, "text"), batched=True, ...)`` does so with what else ``map`` can be told.

        Raises:
            ConfigError: when there is no such column, one that would be added is there already, or a row has no text.
        """
        columns = Columns(self, column)
        columns.check(dataset.column_names)
        features = Features({**dataset.features, **columns.features})
        return dataset.map(columns, batched=True, with_indices=True, features=features)

    def annotated(
        self, texts: Iterable[str], *, look_ahead: int | None = None
    ) -> Iterator[tuple[Segmented, list[Annotation]]]:
        """Each text with what is known of its sentences, from which a document can be built; see ``stream``."""
        words = max(_LOOK_AHEAD, 4 * self.tokens_per_batch) if look_ahead is None else look_ahead
        for window in windows(texts, words=words):
            rows: list[Row] = [{"tokens": tokens} for segmented in window for tokens in segmented.tokens()]
            annotations: list[Annotation] = [Annotation()] * len(rows)
            for position, prediction in annotate(self._annotator, rows, tokens_per_batch=self.tokens_per_batch):
                n_words = len(rows[position]["tokens"])
                annotations[position] = predicted_annotation(self.model.tasks, prediction, n_words=n_words)
            start = 0
            for segmented in window:
                end = start + len(segmented.sentences)
                yield segmented, annotations[start:end]
                start = end


def _revived(
    config: SeqMTLConfig,
    weights: Mapping[str, torch.Tensor],
    device: torch.device,
    dtype: torch.dtype,
    indexer: Indexer,
    made_with: Mapping[str, Any],
) -> Tagger:
    model = SeqMTLModel(config)
    model.load_state_dict(weights)
    return Tagger(model.to(device=device, dtype=dtype), indexer, **made_with)  # pyright: ignore[reportCallIssue]
