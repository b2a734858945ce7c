"""The versions of ``config.json``, and what no version of it may ask for."""

from collections.abc import Mapping, Sequence
from typing import Any

from seqmtl.errors import CheckpointError
from seqmtl.specs.public import placeless

FORMAT_VERSION = 2
# Keys by which transformers would run code of the checkpoint or of the hub, or open files of the checkpoint's choice.
REFUSED = (
    "_attn_implementation",
    "attn_implementation",
    "auto_map",
    "custom_pipelines",
    "experts_implementation",
    "fusion_config",
    "kernel_config",
    "quantization_config",
    "transformers_weights",
)
REFUSED_INSIDE = (*REFUSED, "backbone", "use_pretrained_backbone", "use_timm_backbone")  # a text encoder has none


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """What ``config.json`` holds, as a checkpoint of today's format would have it.

    Raises:
        CheckpointError: when it is of a newer format or of none, or asks for code or files of its own.
    """
    refuse_code(content)
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise CheckpointError(
            f"config.json: format_version is {version!r}; this release reads 1 to {FORMAT_VERSION}, and seqmtl never "
            "wrote another: train the model again, or ask whoever changed the file"
        )
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"config.json: format {version} is newer than {FORMAT_VERSION}, the last that this release reads; "
            "upgrade seqmtl"
        )
    # transformers would list so many labels; ours are those of the tasks
    ours = {key: value for key, value in content.items() if key != "num_labels"}
    return ours if version == FORMAT_VERSION else _from_1(ours)


def refuse_code(content: Mapping[str, Any], *, where: str = "config.json") -> None:
    """Make sure that a JSON file of a checkpoint names no code to be run, and no other files to be read.

    Raises:
        CheckpointError: naming the key.
    """
    inside = content.get("backbone")
    _refuse(content, REFUSED, where=f"{where}: ")
    if isinstance(inside, Mapping):
        _refuse(inside, REFUSED_INSIDE, where=f"{where}: backbone.")


def _refuse(values: Mapping[str, Any], keys: Sequence[str], *, where: str) -> None:
    for key in keys:
        if values.get(key):
            raise CheckpointError(
                f"{where}{key} is {values[key]!r}; seqmtl runs no code that a checkpoint brings or names, and reads no "
                "files but its own; remove the key if the model works without it"
            )


def _from_1(content: Mapping[str, Any]) -> dict[str, Any]:
    """Format 1 had no ``sharing_tasks``, and kept the places of files on the machine of its author."""
    encoder, backbone = content.get("encoder"), content.get("backbone")
    found = dict(content) | {"format_version": 2}
    if isinstance(encoder, Mapping):
        places = {key: placeless(encoder[key]) for key in ("pretrained", "vectors") if encoder.get(key)}
        found["encoder"] = dict(encoder) | places
    if isinstance(backbone, Mapping):
        found["backbone"] = {key: value for key, value in backbone.items() if key != "_name_or_path"}
    return found
