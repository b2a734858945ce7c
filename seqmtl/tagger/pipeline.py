"""``transformers.pipeline("seqmtl-tagging", model=...)``."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers import Pipeline
from transformers.pipelines import PIPELINE_REGISTRY

from seqmtl.checkpoints import load_indexer_of
from seqmtl.data.indexing import Indexer
from seqmtl.documents import Document, to_json
from seqmtl.modeling import SeqMTLModel
from seqmtl.tagger.tagger import Precision, Tagger

NAME = "seqmtl-tagging"


class TaggingPipeline(Pipeline):
    """A ``Tagger`` with the manners of a pipeline of transformers.

    A string gives a dictionary, a list a list of them, anything else that texts come from an iterator; see
    ``documents/json_lines.py`` for what is in it. Batches are cut by tokens over many texts, whatever ``batch_size``
    is, which counts texts.
    """

    _load_tokenizer = _load_processor = _load_image_processor = _load_video_processor = _load_feature_extractor = False

    def __init__(  # transformers' own signature, with what a tagger can be told
        self,
        model: SeqMTLModel,
        *,
        indexer: Indexer | None = None,
        tasks: Sequence[str] | None = None,
        precision: Precision = "fp32",
        tokens_per_batch: int | None = None,
        task: str = NAME,
        device: int | str | torch.device | None = None,
        **kwargs: Any,
    ) -> None:
        """Tag with a model.

        Args:
            model: as ``transformers.pipeline`` loads it.
            indexer: what it reads with; None: what the checkpoint has.
            tasks: as of a ``Tagger``.
            precision: as of a ``Tagger``.
            tokens_per_batch: as of a ``Tagger``.
            task: the name of the pipeline.
            device: as of any pipeline: None is the accelerator where there is one.
            kwargs: what else a pipeline knows.

        Raises:
            CheckpointError: when the model was not loaded and no ``indexer`` is given.
        """
        super().__init__(model=model, task=task, device=device, **kwargs)  # pyright: ignore[reportArgumentType]
        self.tagger = Tagger(
            model,
            indexer or load_indexer_of(model),
            tasks=tasks,
            precision=precision,
            tokens_per_batch=tokens_per_batch,
        )

    def __call__(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        inputs: str | Iterable[str],
        *,
        batch_size: int | None = None,  # noqa: ARG002 - callers of any pipeline may give them
        num_workers: int | None = None,  # noqa: ARG002
    ) -> Any:
        """Tag one text, or many."""
        if isinstance(inputs, str):
            return super().__call__(inputs)
        documents = map(to_json, self.tagger.stream(inputs))
        return list(documents) if isinstance(inputs, list) else documents

    def save_pretrained(self, save_directory: str) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Write a checkpoint; transformers would put the code of this class into it."""
        self.tagger.save_pretrained(save_directory)

    def _sanitize_parameters(self) -> tuple[dict, dict, dict]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return {}, {}, {}

    def preprocess(self, input_: str) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A text, as ``_forward`` takes it."""
        return {"text": input_}

    def _forward(self, input_tensors: dict[str, Any]) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self.tagger(input_tensors["text"])

    def postprocess(self, model_outputs: Document) -> dict[str, Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A document as dictionaries, lists, strings and integers."""
        return to_json(model_outputs)


def register() -> None:
    """Tell transformers about the pipeline."""
    if NAME not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(NAME, TaggingPipeline, pt_model=SeqMTLModel, type="text")
