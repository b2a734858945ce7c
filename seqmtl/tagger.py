"""Raw text to annotated documents."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.indexing import Indexer
from seqmtl.documents import Annotation, Document, build_document, segment
from seqmtl.evaluation.predictions import Annotator, Prediction, annotate
from seqmtl.labels import Frame
from seqmtl.modeling import SeqMTLModel


class Tagger:
    """Tags raw text with every layer that its model knows, each sentence encoded once.

    Sentences of all texts of a call are sorted by length and batched by words, then put back in order.
    """

    def __init__(self, model: SeqMTLModel, indexer: Indexer, *, tasks: Sequence[str] | None = None) -> None:
        """Tag with ``tasks`` of ``model``; None: all."""
        self.model = model.eval()
        self._annotator = Annotator(model, indexer, tasks=tasks)

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, tasks: Sequence[str] | None = None, device: str = "cpu") -> Self:
        """Load a checkpoint.

        Raises:
            CheckpointError: when ``folder`` is no checkpoint, or its parts do not fit.
            ConfigError: when it has no such task.
        """
        model, indexer = load_checkpoint(folder)
        return cls(model.to(device), indexer, tasks=tasks)  # type: ignore[arg-type]

    @property
    def word_layers(self) -> tuple[str, ...]:
        """The tasks that give every word a plain tag."""
        tasks = self.model.tasks
        kinds = ("softmax", "crf")
        return tuple(
            name for name in self._annotator.tasks if tasks[name].scheme is None and tasks[name].spec.head.kind in kinds
        )

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
            annotations[position] = self._annotation(prediction, n_words=len(sentences[position]))
        documents, start = [], 0
        for text, per_text in zip(texts, offsets, strict=True):
            own = annotations[start : start + len(per_text)]
            start += len(per_text)
            documents.append(build_document(text, sentences=per_text, annotations=own))
        return documents

    def _annotation(self, prediction: Prediction, *, n_words: int) -> Annotation:
        """A prediction in the terms of documents; predicates with frames have no layer of their own."""
        spans = {name for name in prediction.tags if self.model.tasks[name].scheme is not None}
        frames = {name: tuple(found) for name, found in prediction.found_frames.items()}
        in_frames = {self.model.tasks[name].spec.predicates for name in frames}
        for name, words in prediction.predicates.items():
            if name not in in_frames:  # predicates without roles are frames without arguments
                frames[name] = tuple(_bare_frame(word, n_words) for word in words)
        return Annotation(
            tags={name: tuple(tags) for name, tags in prediction.tags.items() if name not in spans},
            span_tags={name: tuple(tags) for name, tags in prediction.tags.items() if name in spans},
            frames=frames,
        )


def _bare_frame(word: int, n_words: int) -> Frame:
    """A predicate without arguments."""
    return Frame(predicate=word, sense="", tags=tuple("B-V" if t == word else "O" for t in range(n_words)))
