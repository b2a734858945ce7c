"""One folder is all there is: weights, configuration, tokenizer or vocabularies, recipe, scores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError

from seqmtl.config_format import refuse_code
from seqmtl.configuration import SeqMTLConfig, inventory_sizes
from seqmtl.data.indexers import load_indexer
from seqmtl.data.indexing import Indexer, vocabularies
from seqmtl.errors import CheckpointError, ConfigError, EncoderError, cannot_write
from seqmtl.files import write_text, written_aside
from seqmtl.hub import fetch
from seqmtl.merging import merge_models
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec, load_recipe

RECIPE, METRICS = "recipe.yaml", "metrics.json"


def save_checkpoint(folder: Path, model: SeqMTLModel, indexer: Indexer) -> None:
    """Write a model and what it reads with.

    A former checkpoint of the same model stays whole until this one is, whatever happens: within a run only the weights
    change, which are one file (transformers cuts them above 50 GB). With ``pseudo_tasks.keep_decoders`` the best
    decoder in ``config.json`` changes, too: such a run, killed between the two renames, must be resumed.

    Raises:
        CheckpointError: when it cannot be written, for example because the disk is full.
    """
    with _writing(folder), written_aside(folder, last="*.safetensors") as aside:
        model.save_pretrained(aside)
        indexer.save_pretrained(aside)


def load_checkpoint(
    name: str | Path,
    *,
    tasks: Sequence[str] | None = None,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    subfolder: str = "",
) -> tuple[SeqMTLModel, Indexer]:
    """Load a model, in evaluation mode, and its indexer.

    Args:
        name: the folder of a run, or the name of a model on the hub.
        tasks: load these and what they need, and read no other weights; None: all.
        revision: branch, tag or commit on the hub; None: the main branch.
        token: for a model that not everybody may see; None: the one with which this machine is logged in, if any.
        cache_dir: where to keep what comes from the hub; None: where its client keeps it.
        local_files_only: look into the cache and ask nobody.
        subfolder: in which the checkpoint lies.

    Raises:
        CheckpointError: when there is none, it is of a newer format, its parts do not fit, or it asks for a pickle or
            for code to be run; ``HubError`` when it is not to be had from the hub.
        ConfigError: when it has no such task.
    """
    folder = fetch(
        name,
        revision=revision,
        token=token,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        subfolder=subfolder,
    )
    config = load_config(folder)
    model = SeqMTLModel.from_pretrained(folder, config=config, tasks=tasks)
    return model, load_indexer_of(model)


def load_indexer_of(model: SeqMTLModel) -> Indexer:
    """What a model reads with, from the checkpoint that it was loaded from.

    Raises:
        CheckpointError: when it was not loaded, or the checkpoint lacks a tokenizer or vocabulary that fits it.
    """
    folder, config = model.folder, model.config
    if folder is None:
        raise CheckpointError("this model was not loaded from a checkpoint, so what it reads with is unknown")
    check_tokenizer_files(folder)
    try:
        indexer = load_indexer(config.encoder_spec, backbone=config.backbone_config, folder=folder)
    except EncoderError as error:
        raise CheckpointError(f"{folder}: the checkpoint's own tokenizer is missing or broken: {error}") from None
    found = inventory_sizes(indexer)
    if found != config.sizes:
        raise CheckpointError(f"{folder}: vocabulary.json does not fit config.json: {found}, expected {config.sizes}")
    return indexer


def merge_checkpoints(first: str | Path, second: str | Path) -> tuple[SeqMTLModel, Indexer]:
    """One model with the tasks of two checkpoints that share an encoder, and what it reads with.

    Args:
        first: the folder of a run, or the name of a model on the hub.
        second: the same.

    Raises:
        CheckpointError: when one of them cannot be loaded.
        ConfigError: when they do not share an encoder with its vocabulary, or have a task in common.
    """
    (ours, indexer), (theirs, their_indexer) = load_checkpoint(first), load_checkpoint(second)
    for kind, items in vocabularies(indexer).items():
        if items != vocabularies(their_indexer)[kind]:
            raise ConfigError(f"merge: {first} and {second} read with other {kind}, so they do not share an encoder")
    return merge_models(ours, theirs), indexer


def load_config(folder: Path) -> SeqMTLConfig:
    """Read the configuration of a checkpoint; what it says is for ``SeqMTLModel`` to check, against the weights.

    Raises:
        CheckpointError: when there is none, or it is of another kind or a newer format.
    """
    path = folder / "config.json"
    content = _read_json(path)
    if content is None:
        raise CheckpointError(f"{folder}: not a checkpoint: it has no config.json; give the folder of a run")
    kind = content.get("model_type")
    if kind != SeqMTLConfig.model_type:
        raise CheckpointError(f"{path}: model_type is {kind!r}, not 'seqmtl'; a plain encoder is named in a recipe")
    try:
        return SeqMTLConfig.from_dict(content)
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None


def check_tokenizer_files(folder: Path) -> None:
    """Make sure that the tokenizer of a checkpoint brings no code, and names no files elsewhere.

    Raises:
        CheckpointError: naming the key.
    """
    content = _read_json(folder / "tokenizer_config.json") or {}
    try:
        refuse_code(content, where="tokenizer_config.json")
    except CheckpointError as error:
        raise CheckpointError(f"{folder}: {error}") from None
    for key, value in content.items():
        names = value if isinstance(value, list) else [value]
        outside = [name for name in names if isinstance(name, str) and Path(name).name != name]
        if key.endswith(("_file", "_files")) and outside:
            raise CheckpointError(
                f"{folder}: tokenizer_config.json: {key} is {outside[0]!r}, which is no file of the checkpoint; "
                "remove the key"
            )


def _read_json(path: Path) -> dict[str, Any] | None:
    """The mapping in a file; None: there is no such file.

    Raises:
        CheckpointError: when it cannot be read, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: must hold a mapping of keys, but holds {type(content).__name__}")
    return content


def save_recipe(folder: Path, recipe: RecipeSpec) -> None:
    """Write the recipe with every default spelled out."""
    with _writing(folder / RECIPE):
        write_text(folder / RECIPE, recipe_text(recipe))


def recipe_text(recipe: RecipeSpec) -> str:
    """A recipe as YAML, with every default spelled out."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load_recipe_of(folder: Path, *, overrides: Sequence[str] = ()) -> tuple[RecipeSpec, Path]:
    """Read the recipe with which a checkpoint was trained; its corpora hold absolute paths.

    Raises:
        CheckpointError: when the checkpoint carries none.
    """
    path = folder / RECIPE
    if not path.exists():
        raise CheckpointError(f"{folder}: has no {RECIPE}, so its corpora are unknown")
    return load_recipe(str(path), overrides=overrides)


def save_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write scores as JSON."""
    with _writing(folder / METRICS):
        write_text(folder / METRICS, json.dumps(metrics, indent=2, ensure_ascii=False) + "\n")


def read_metrics(folder: Path) -> dict[str, Any]:
    """Read what ``save_metrics`` wrote; empty when nothing was."""
    path = folder / METRICS
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: {cannot_write(error)}") from None
