"""Raw text to annotated documents."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from seqmtl.checkpoints import load_checkpoint, save_checkpoint
from seqmtl.data.indexing import Indexer
from seqmtl.data.kinds import Frames, PlainTags
from seqmtl.documents import Annotation, Document, build_document, segment
from seqmtl.evaluation.annotations import predicted_annotation
from seqmtl.evaluation.predictions import Annotator, Reader, annotate
from seqmtl.modeling import SeqMTLModel
from seqmtl.publishing import push_to_hub


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
        self.indexer = indexer
        self._annotator = Annotator(model, indexer, tasks=tasks, reader=None if reader is None else reader(model))
        for task in self._annotator.tasks:
            if isinstance(model.tasks[task].kind, Frames):
                model.finder(task)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        tasks: Sequence[str] | None = None,
        reader: Callable[[SeqMTLModel], Reader] | None = None,
        device: str = "cpu",
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
        return cls(model.to(device), indexer, tasks=tasks, reader=reader)  # type: ignore[arg-type]

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
