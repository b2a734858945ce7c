"""A recipe: one YAML file that describes a complete run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, Field, model_validator

from seqmtl.errors import ConfigError, nearest
from seqmtl.specs import library
from seqmtl.specs.base import Spec
from seqmtl.specs.corpora import CorpusEntry
from seqmtl.specs.encoders import EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.inheritance import BASE, read_recipe
from seqmtl.specs.mixture import MixtureSpec
from seqmtl.specs.pseudo_tasks import PseudoTasksSpec
from seqmtl.specs.sharing import HardSharingSpec, JMTSpec, SharedPrivateSpec, SharingSpec
from seqmtl.specs.tasks import TaskSpec
from seqmtl.specs.training import TrainingSpec

# Attributes of torch.nn.ModuleDict (transformers adds `smart_apply`), by which no head can be called, and of a module
# that holds a vector per task.
RESERVED_NAMES = frozenset(
    """
    add_module apply bfloat16 buffers call_super_init children clear compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu items keys
    load_state_dict modules mtia named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter register_state_dict_post_hook
    register_state_dict_pre_hook requires_grad_ reset_parameters set_extra_state set_submodule share_memory smart_apply
    state_dict to to_empty train training type update values xpu zero_grad
    """.split()
)


def task_name(name: str) -> str:
    """Return ``name`` when it can name a task; raise ``ValueError`` otherwise."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} cannot name a task: use lower-case letters, digits and '_', a letter first")
    if name in RESERVED_NAMES:
        raise ValueError(f"{name!r} is reserved by torch.nn.Module; name the task otherwise, for example '{name}_tag'")
    return name


TaskName = Annotated[str, AfterValidator(task_name)]


class RecipeSpec(Spec):
    """A complete run: what to learn, from which corpora, with which model, and how.

    ``corpora`` maps a name to a corpus spec, or to ``{use: NAME}`` for one of the shipped ``tasks/corpora`` (keys
    beside ``use`` override it). ``evaluate_on`` names the corpora whose dev and test splits are scored; null means all.
    """

    name: str
    description: str = ""
    corpora: dict[str, CorpusEntry] = Field(default={}, description="needed unless datasets are handed over in Python")
    tasks: dict[TaskName, TaskSpec] = Field(min_length=1)
    encoder: EncoderSpec
    sharing: SharingSpec = HardSharingSpec(kind="hard")
    mixture: MixtureSpec = MixtureSpec()
    training: TrainingSpec = TrainingSpec()
    pseudo_tasks: PseudoTasksSpec | None = Field(default=None, description="several decoders per task; null: one")
    evaluate_on: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _names_are_known(self) -> "RecipeSpec":
        for name, task in self.tasks.items():
            if task.predicates is not None:
                finder = self.tasks.get(task.predicates)
                if finder is None or finder.head.kind != "predicate":
                    finders = [key for key, other in self.tasks.items() if other.head.kind == "predicate"]
                    raise ValueError(
                        f"tasks.{name}.predicates: {task.predicates!r} is not a task with a predicate head; "
                        f"{nearest(task.predicates, finders)}"
                    )
        return self

    @model_validator(mode="after")
    def _successive_regularisation_has_phases(self) -> "RecipeSpec":
        asked = isinstance(self.sharing, JMTSpec) and self.sharing.successive_regularisation is not None
        if asked and self.mixture.schedule != "sequential":
            raise ValueError(
                "sharing.successive_regularisation: holds a task near the one before, but mixture.schedule is "
                f"{self.mixture.schedule!r}; set it to 'sequential', or leave the regularisation out"
            )
        return self

    @model_validator(mode="after")
    def _what_is_compiled_is_a_transformer(self) -> "RecipeSpec":
        if self.training.compiled and not isinstance(self.encoder, TransformerEncoderSpec):
            raise ValueError(
                f"training.compiled: compiles a transformer, but encoder.kind is {self.encoder.kind!r}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _an_adversary_sees_all_tasks(self) -> "RecipeSpec":
        asked = isinstance(self.sharing, SharedPrivateSpec) and self.sharing.adversary is not None
        if asked and self.mixture.schedule == "sequential":
            raise ValueError(
                "sharing.adversary: tells the tasks of a batch apart, but mixture.schedule is 'sequential', so that a "
                "batch has one task and its turn gives it away; set it to 'interleaved', or leave the adversary out"
            )
        return self

    @model_validator(mode="after")
    def _pseudo_tasks_are_of_tasks_with_dropout(self) -> "RecipeSpec":
        spec = self.pseudo_tasks
        if spec is None:
            return self
        for name in spec.tasks or ():
            if name not in self.tasks:
                raise ValueError(f"pseudo_tasks.tasks: no task {name!r}; {nearest(name, self.tasks)}")
        anchored = isinstance(self.sharing, JMTSpec) and self.sharing.successive_regularisation is not None
        if anchored and {"greedy", "perturb"} & set(spec.update):
            raise ValueError(
                "pseudo_tasks.update: greedy and perturb move decoders, and sharing.successive_regularisation would "
                "pull them back to where they were; leave out one of the two"
            )
        if "dropout" in spec.init and "hyperperturb" not in spec.update:
            for name in spec.chosen(tuple(self.tasks)):
                if self.tasks[name].head.dropout == 0.0:
                    raise ValueError(
                        f"tasks.{name}.head.dropout: is 0, so decoders have no masks of their own; raise it, or take "
                        "'dropout' out of pseudo_tasks.init"
                    )
        return self


def load_recipe(reference: str, *, overrides: Sequence[str] = ()) -> tuple[RecipeSpec, Path]:
    """Load a recipe by file or by the name of a shipped one, apply ``key.path=value`` overrides, and validate it.

    A recipe with ``base: NAME`` changes another one, of its folder or shipped: mappings are merged key by key, but one
    of another ``kind`` is replaced whole.

    Returns:
        The recipe and the folder against which its relative paths are resolved.

    Raises:
        ConfigError: when there is no such recipe or base, an override is malformed, or a key is wrong.
    """
    path = Path(reference)
    if not path.suffix and not path.is_file():  # a folder of that name is no recipe
        path = library.find("recipes", reference)
    data = read_recipe(path)
    for override in overrides:
        set_key(data, override)
    return RecipeSpec.parse(data, source=path), path.resolve().parent


def set_key(data: dict[str, Any], override: str) -> None:
    """Apply one ``key.path=value`` override in place; the value is read as YAML.

    >>> data = {"training": {"epochs": 3}}
    >>> set_key(data, "training.epochs=5")
    >>> data
    {'training': {'epochs': 5}}
    """
    keys, separator, value = override.partition("=")
    if not separator or not keys.strip():
        raise ConfigError(f"--set {override}: expected KEY.PATH=VALUE, for example training.epochs=5")
    *parents, last = keys.strip().split(".")
    node: dict[str, Any] = data
    for position, key in enumerate(parents):
        child = node.get(key)
        if child is None:
            child = node[key] = {}
        if not isinstance(child, dict):
            raise ConfigError(f"--set {override}: {'.'.join(parents[: position + 1])} is {child!r}, which has no keys")
        node = child
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override}: {value!r} is not valid YAML: {error}") from None


def recipe_schema() -> Mapping[str, Any]:
    """The JSON schema of a recipe, with which an editor completes and checks one; a base may give what is required."""
    schema = RecipeSpec.model_json_schema()
    described = {"type": "string", "description": "the recipe that this one changes: of the same folder, or shipped"}
    complete = {"required": schema.pop("required")}
    return schema | {
        "properties": {BASE: described, **schema["properties"]},
        "required": ["name"],
        "if": {"not": {"required": [BASE]}},
        "then": complete,
    }
