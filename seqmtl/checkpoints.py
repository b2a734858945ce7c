"""One folder is all there is: weights, configuration, tokenizer or vocabularies, recipe, scores."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import yaml
from safetensors import SafetensorError

from seqmtl.configuration import FORMAT_VERSION, SeqMTLConfig, inventory_sizes
from seqmtl.data.indexers import load_indexer
from seqmtl.data.indexing import Indexer
from seqmtl.errors import CheckpointError, EncoderError, cannot_write
from seqmtl.files import write_text, written_aside
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.recipe import RecipeSpec, load_recipe

RECIPE, METRICS = "recipe.yaml", "metrics.json"


def save_checkpoint(folder: Path, model: SeqMTLModel, indexer: Indexer) -> None:
    """Write a model and what it reads with.

    A former checkpoint of the same model stays whole until this one is, whatever happens: within a run only the weights
    change, which are one file (transformers cuts them above 50 GB).

    Raises:
        CheckpointError: when it cannot be written, for example because the disk is full.
    """
    with _writing(folder), written_aside(folder, last="*.safetensors") as aside:
        model.save_pretrained(aside)
        indexer.save_pretrained(aside)


def load_checkpoint(folder: str | Path) -> tuple[SeqMTLModel, Indexer]:
    """Load a model, in evaluation mode, and its indexer.

    Raises:
        CheckpointError: when the folder is no checkpoint, is of a newer format, or its weights do not fit.
    """
    folder = Path(folder)
    config = load_config(folder)
    model = _load_model(folder, config)
    try:
        indexer = load_indexer(config.encoder_spec, backbone=config.backbone_config, folder=folder)
    except EncoderError as error:
        raise CheckpointError(f"{folder}: the checkpoint's own tokenizer is missing or broken: {error}") from None
    found = inventory_sizes(indexer)
    if found != config.sizes:
        raise CheckpointError(f"{folder}: vocabulary.json does not fit config.json: {found}, expected {config.sizes}")
    return model.eval(), indexer


def _load_model(folder: Path, config: SeqMTLConfig) -> SeqMTLModel:
    """Load the weights and hold them to the configuration, key by key."""
    try:
        loaded = SeqMTLModel.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # they are reported below, by name
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{folder}: cannot load model.safetensors: {lines[0]}") from None
    model, report = cast("tuple[SeqMTLModel, dict[str, Any]]", loaded)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if report.get(kind):
            keys = ", ".join(map(str, sorted(report[kind])[:5]))
            raise CheckpointError(f"{folder}: the weights do not fit config.json: {kind.replace('_', ' ')}: {keys}")
    # Loaded tensors lie in the mapped file at odd addresses, where matrix products round otherwise than in the model
    # that was saved; in memory of their own they give its bits, and the file may be overwritten.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()
    return model


def load_config(folder: Path) -> SeqMTLConfig:
    """Read the configuration of a checkpoint.

    Raises:
        CheckpointError: when there is none, or it is of another kind or a newer format.
    """
    path = folder / "config.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{folder}: not a checkpoint: it has no config.json; give the folder of a run") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {error}") from None
    kind = content.get("model_type") if isinstance(content, dict) else None
    if kind != SeqMTLConfig.model_type:
        raise CheckpointError(f"{path}: model_type is {kind!r}, not 'seqmtl'; a plain encoder is named in a recipe")
    version = content.get("format_version", 0)
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: format {version} is newer than {FORMAT_VERSION}, which this release reads; upgrade"
        )
    return SeqMTLConfig.from_pretrained(folder)


def save_recipe(folder: Path, recipe: RecipeSpec) -> None:
    """Write the recipe with every default spelled out."""
    content = recipe.model_dump(mode="json")
    with _writing(folder / RECIPE):
        write_text(folder / RECIPE, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


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
