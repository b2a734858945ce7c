"""The configuration of a model: everything that inference must know, in ``config.json``."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Self, TypeVar

from transformers import AutoConfig, PreTrainedConfig

from seqmtl.config_format import FORMAT_VERSION, upgraded
from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import Task
from seqmtl.encoders.build import InventorySizes
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.specs.base import Spec
from seqmtl.specs.encoders import EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.public import public_encoder
from seqmtl.specs.recipe import task_name
from seqmtl.specs.sharing import SharingSpec

Part = TypeVar("Part", bound=Spec)


class EncoderPart(Spec):
    """The key ``encoder`` of ``config.json``."""

    encoder: EncoderSpec


class SharingPart(Spec):
    """The key ``sharing`` of ``config.json``."""

    sharing: SharingSpec


class SeqMTLConfig(PreTrainedConfig):
    """A multi-task model: its encoder, its sharing scheme, and its tasks with their label inventories in order.

    Attributes:
        encoder: the encoder's spec, as JSON.
        backbone: the configuration of the transformer inside, as JSON; None without one.
        sharing: the sharing scheme's spec, as JSON.
        tasks: each task's name, spec and labels, as JSON.
        sharing_tasks: the tasks for which the scheme was trained, some of which may have been removed; None: ``tasks``.
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
        sharing_tasks: Sequence[str] | None = None,
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
        self.sharing_tasks = None if sharing_tasks is None else list(sharing_tasks)
        self.decoders = _by_task(decoders or {}, key="decoders")
        self.n_words = n_words
        self.n_characters = n_characters
        self.format_version = format_version
        super().__init__(**kwargs)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:  # transformers' own signature
        """Read what ``config.json`` holds; an older format is brought up to date.

        Raises:
            CheckpointError: when it is of a newer format, or asks for code or files of its own.
        """
        return super().from_dict(upgraded(config_dict), **kwargs)

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
    ) -> Self:
        """The configuration of a new model."""
        shape = None if backbone is None else backbone.to_dict()
        if shape is not None:
            shape.pop("_name_or_path", None)
        return cls(
            # Where files lay on this machine is nobody else's business; the recipe of the run names them.
            encoder=public_encoder(encoder).model_dump(mode="json", exclude={"lora"}),  # adapters are merged
            backbone=shape,
            sharing=sharing.model_dump(mode="json", exclude={"alpha_from"}),
            tasks=[task.to_dict() for task in tasks],
            decoders={task: spec.model_dump(mode="json") for task, spec in decoders.items()},
            n_words=sizes.words,
            n_characters=sizes.characters,
        )

    def with_tasks(
        self, tasks: Sequence[Task], *, sharing_tasks: Sequence[str], decoders: Mapping[str, Mapping[str, Any]]
    ) -> Self:
        """The configuration of the same model for other tasks.

        Args:
            tasks: in order.
            sharing_tasks: the tasks for which the sharing scheme is built.
            decoders: as the attribute; of tasks that are not among ``tasks`` they are left out.
        """
        config = deepcopy(self)
        config.tasks = [task.to_dict() for task in tasks]
        names = [task.name for task in tasks]
        config.decoders = {task: dict(spec) for task, spec in decoders.items() if task in names}
        config.sharing_tasks = None if list(sharing_tasks) == names else list(sharing_tasks)
        return config

    def check(self) -> None:
        """Make sure that every part says something that can be built, as far as it can be known by itself.

        Raises:
            CheckpointError: naming the key that is wrong.
        """
        tasks, sizes, _ = self.task_list, self.sizes, (self.encoder_spec, self.sharing_spec, self.backbone_config)
        names = [task.name for task in tasks]
        left_out = set(names) - set(self.sharing_task_names)
        for key, size in (("n_words", sizes.words), ("n_characters", sizes.characters)):
            if type(size) is not int or size < 0:
                raise CheckpointError(f"config.json: {key} is {size!r}; it must be a number, and not negative")
        if not names or len(set(names)) < len(names):
            raise CheckpointError(f"config.json: tasks are {', '.join(names) or 'none'}; give one or more, each once")
        if left_out:
            raise CheckpointError(
                f"config.json: sharing_tasks leaves out {', '.join(sorted(left_out))}, one of the tasks"
            )
        unknown = sorted(self.decoder_specs.keys() - set(names))
        if unknown:
            raise CheckpointError(f"config.json: decoders names {', '.join(unknown)}, which is no task")
        finders = {task.name: task.spec.predicates for task in tasks if task.spec.predicates is not None}
        for name, finder in finders.items():
            if finder not in names:
                raise CheckpointError(
                    f"config.json: task {name!r} needs {finder!r} to find its predicates; it is no task"
                )

    @property
    def encoder_spec(self) -> EncoderSpec:
        """The encoder's spec."""
        return _parsed(EncoderPart, {"encoder": self.encoder}).encoder

    @property
    def sharing_spec(self) -> SharingSpec:
        """The sharing scheme's spec."""
        return _parsed(SharingPart, {"sharing": self.sharing}).sharing

    @property
    def task_list(self) -> list[Task]:
        """The tasks, in order."""
        return [_task(values, key=f"tasks.{number}") for number, values in enumerate(self.tasks)]

    @property
    def sharing_task_names(self) -> tuple[str, ...]:
        """The tasks for which the sharing scheme is built: ``tasks``, and those that were removed since."""
        return tuple(self.sharing_tasks or (task["name"] for task in self.tasks))

    @property
    def decoder_specs(self) -> dict[str, DecodersSpec]:
        """The decoders of each task that has more than one."""
        return {
            task: _parsed(DecodersSpec, spec, source=f"config.json: decoders.{task}")
            for task, spec in self.decoders.items()
        }

    @property
    def sizes(self) -> InventorySizes:
        """Sizes of the vocabularies."""
        return InventorySizes(words=self.n_words, characters=self.n_characters)

    @property
    def backbone_config(self) -> PreTrainedConfig | None:
        """The transformer's configuration, with the attention that was asked for; None without a transformer.

        Raises:
            CheckpointError: when a transformer encoder lacks it, or its family is unknown to this transformers.
        """
        if not isinstance(self.encoder_spec, TransformerEncoderSpec):
            return None
        values = dict(self.backbone or {})
        try:
            return AutoConfig.for_model(
                values.pop("model_type"), attn_implementation=self._attn_implementation, **values
            )
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"config.json: 'backbone' does not describe a known encoder: {error}") from None


def inventory_sizes(indexer: Indexer) -> InventorySizes:
    """The sizes of the vocabularies with which ``indexer`` reads."""
    return InventorySizes(
        words=len(indexer.words.vocabulary) if indexer.words else 0,
        characters=len(indexer.characters.vocabulary) if indexer.characters else 0,
    )


def _parsed(part: type[Part], values: Mapping[str, Any], *, source: str = "config.json") -> Part:
    """A part of ``config.json`` with its spec.

    Raises:
        CheckpointError: naming the key that is wrong.
    """
    try:
        return part.parse(values, source=source)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None


def _by_task(values: Any, *, key: str) -> dict[str, dict[str, Any]]:
    """A mapping of tasks to mappings.

    Raises:
        CheckpointError: when it is something else.
    """
    if not isinstance(values, Mapping) or not all(isinstance(value, Mapping) for value in values.values()):
        raise CheckpointError(f"config.json: {key} is {values!r}; it must be a mapping of tasks to mappings")
    return {task: dict(value) for task, value in values.items()}


def _task(values: Mapping[str, Any], *, key: str) -> Task:
    """A task from its JSON value.

    Raises:
        CheckpointError: naming the key that is wrong.
    """
    if not isinstance(values, Mapping):  # AutoModel puts what it is called with into the configuration
        raise CheckpointError(
            f"config.json: {key} is {values!r}, where name, spec and labels of a task are expected; tasks of your "
            "choice are loaded by SeqMTLModel.from_pretrained and Tagger.from_pretrained"
        )
    try:
        task_name(values["name"])
        labels = values["labels"]
        if not labels or len(set(labels)) < len(labels) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels must be strings, at least one, and none of them twice")
        return Task.from_dict(values)
    except KeyError as error:
        raise CheckpointError(f"config.json: {key}: the key {error} is required") from None
    except (ConfigError, TypeError, ValueError) as error:
        raise CheckpointError(f"config.json: {key}: {error}") from None
