"""The configuration of a model: everything that inference must know, in ``config.json``."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from transformers import AutoConfig, PreTrainedConfig

from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import Task
from seqmtl.encoders.build import InventorySizes
from seqmtl.errors import CheckpointError
from seqmtl.specs.encoders import EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import SharingSpec

FORMAT_VERSION = 1

_ENCODER = TypeAdapter[EncoderSpec](EncoderSpec)
_SHARING = TypeAdapter[SharingSpec](SharingSpec)


class SeqMTLConfig(PreTrainedConfig):
    """A multi-task model: its encoder, its sharing scheme, and its tasks with their label inventories in order.

    Attributes:
        encoder: the encoder's spec, as JSON.
        backbone: the configuration of the transformer inside, as JSON; None without one.
        sharing: the sharing scheme's spec, as JSON.
        tasks: each task's name, spec and labels, as JSON.
        decoders: of each task that has more than one decoder, how many, and the best of them, as JSON.
        n_words, n_characters: sizes of the vocabularies in ``vocabulary.json``.
    """

    model_type = "seqmtl"

    def __init__(
        self,
        *,
        encoder: Mapping[str, Any] | None = None,
        backbone: Mapping[str, Any] | None = None,
        sharing: Mapping[str, Any] | None = None,
        tasks: Sequence[Mapping[str, Any]] = (),
        decoders: Mapping[str, Mapping[str, Any]] | None = None,
        n_words: int = 0,
        n_characters: int = 0,
        format_version: int = FORMAT_VERSION,
        **kwargs: Any,  # transformers hands its own fields through here
    ) -> None:
        """Hold the JSON values; ``build`` methods turn them into specs."""
        self.encoder = dict(encoder or {})
        self.backbone = None if backbone is None else dict(backbone)
        self.sharing = dict(sharing or {"kind": "hard"})
        self.tasks = [dict(task) for task in tasks]
        self.decoders = {task: dict(spec) for task, spec in (decoders or {}).items()}
        self.n_words = n_words
        self.n_characters = n_characters
        self.format_version = format_version
        super().__init__(**kwargs)

    @classmethod
    def of(
        cls,
        *,
        encoder: EncoderSpec,
        backbone: PreTrainedConfig | None,
        sharing: SharingSpec,
        tasks: Sequence[Task],
        decoders: Mapping[str, DecodersSpec],
        sizes: InventorySizes,
    ) -> "SeqMTLConfig":
        """The configuration of a new model."""
        return cls(
            encoder=encoder.model_dump(mode="json"),
            backbone=None if backbone is None else backbone.to_dict(),
            # A file on this machine from which alpha started is nobody else's business; the recipe names it.
            sharing=sharing.model_dump(mode="json", exclude={"alpha_from"}),
            tasks=[task.to_dict() for task in tasks],
            decoders={task: spec.model_dump(mode="json") for task, spec in decoders.items()},
            n_words=sizes.words,
            n_characters=sizes.characters,
        )

    @property
    def encoder_spec(self) -> EncoderSpec:
        """The encoder's spec."""
        return _ENCODER.validate_python(self.encoder)

    @property
    def sharing_spec(self) -> SharingSpec:
        """The sharing scheme's spec."""
        return _SHARING.validate_python(self.sharing)

    @property
    def task_list(self) -> list[Task]:
        """The tasks, in order."""
        return [Task.from_dict(task) for task in self.tasks]

    @property
    def decoder_specs(self) -> dict[str, DecodersSpec]:
        """The decoders of each task that has more than one."""
        return {
            task: DecodersSpec.parse(spec, source=f"decoders of task {task!r} in the checkpoint")
            for task, spec in self.decoders.items()
        }

    @property
    def sizes(self) -> InventorySizes:
        """Sizes of the vocabularies."""
        return InventorySizes(words=self.n_words, characters=self.n_characters)

    @property
    def backbone_config(self) -> PreTrainedConfig | None:
        """The transformer's configuration; None without one.

        Raises:
            CheckpointError: when a transformer encoder lacks it, or its family is unknown to this transformers.
        """
        if not isinstance(self.encoder_spec, TransformerEncoderSpec):
            return None
        values = dict(self.backbone or {})
        try:
            return AutoConfig.for_model(values.pop("model_type"), **values)
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"config.json: 'backbone' does not describe a known encoder: {error}") from None


def inventory_sizes(indexer: Indexer) -> InventorySizes:
    """The sizes of the vocabularies with which ``indexer`` reads."""
    return InventorySizes(
        words=len(indexer.words.vocabulary) if indexer.words else 0,
        characters=len(indexer.characters.vocabulary) if indexer.characters else 0,
    )
