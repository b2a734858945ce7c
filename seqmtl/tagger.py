"""Raw text to annotated documents."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.indexing import Indexer
from seqmtl.data.kinds import Frames, PlainTags
from seqmtl.documents import Annotation, Document, build_document, segment
from seqmtl.evaluation.annotations import predicted_annotation
from seqmtl.evaluation.predictions import Annotator, Reader, annotate
from seqmtl.modeling import SeqMTLModel


class Tagger:
    """Tags raw text with every layer that its model knows, each sentence encoded once.

    Sentences of all texts of a call are sorted by length and batched by words, then put back in order.
    """

    def __init__(
        self,
        model: SeqMTLModel,
        indexer: Indexer,
        *,
        tasks: Sequence[str] | None = None,
        reader: Callable[[SeqMTLModel], Reader] | None = None,
    ) -> None:
        """Tag with ``tasks`` of ``model``, None: all; ``reader=Ensemble``: by all decoders, not only the best.

        Raises:
            CheckpointError: when an srl task names no predicate task, so that it would give no frames.
            ConfigError: when the model has no such task, or no ensemble.
        """
        self.model = model.eval()
        self._annotator = Annotator(model, indexer, tasks=tasks, reader=None if reader is None else reader(model))
        for task in self._annotator.tasks:
            if isinstance(model.tasks[task].kind, Frames):
                model.finder(task)

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        tasks: Sequence[str] | None = None,
        reader: Callable[[SeqMTLModel], Reader] | None = None,
        device: str = "cpu",
    ) -> Self:
        """Load a checkpoint.

        Raises:
            CheckpointError: when ``folder`` is no checkpoint, its parts do not fit, or an srl task names no predicate
                task.
            ConfigError: when it has no such task, or no ensemble.
        """
        model, indexer = load_checkpoint(folder)
        return cls(model.to(device), indexer, tasks=tasks, reader=reader)  # type: ignore[arg-type]

    @property
    def word_layers(self) -> tuple[str, ...]:
        """The tasks that give every word a plain tag."""
        return tuple(name for name in self._annotator.tasks if isinstance(self.model.tasks[name].kind, PlainTags))

    def __call__(self, text: str) -> Document:
        """Tag one text; an empty one gives a document without sentences."""
        return self.tag([text])[0]

    def tag(self, texts: Iterable[str]) -> list[Document]:
        """Tag many texts at once, which is faster than one by one."""
        texts = list(texts)
        offsets = [segment(text) for text in texts]
        sentences = [
            [text[start:end] for start, end in sentence]
            for text, per_text in zip(texts, offsets, strict=True)
            for sentence in per_text
        ]
        rows = [{"tokens": tokens} for tokens in sentences]
        annotations: list[Annotation] = [Annotation()] * len(rows)
        for position, prediction in annotate(self._annotator, rows):
            words = len(sentences[position])
            annotations[position] = predicted_annotation(self.model.tasks, prediction, n_words=words)
        documents, start = [], 0
        for text, per_text in zip(texts, offsets, strict=True):
            own = annotations[start : start + len(per_text)]
            start += len(per_text)
            documents.append(build_document(text, sentences=per_text, annotations=own))
        return documents
