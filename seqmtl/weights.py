"""What the weight files of a checkpoint hold, by their headers: nothing is allocated before it is known to fit."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import CheckpointError
from seqmtl.specs.sharing import CrossStitchSpec, SluiceSpec
from seqmtl.specs.tasks import CRFHeadSpec

Shape = tuple[int, ...]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".ckpt", ".h5", ".msgpack", ".pkl", ".pickle", ".pt", ".pth")  # and what else is no safetensors
ADAPTER = "adapter_config.json"
# What a family of encoders calls the number of its parts, and what it calls a size, which costs no time.
_COUNTS, _SIZES = re.compile("layer|block|depth|stage|expert|group|num_labels"), re.compile("(_size|_dim|_capacity)$")
SHOWN = 5  # names in a message


def read_shapes(folder: Path) -> dict[str, Shape]:
    """The name and shape of every tensor of a checkpoint, from the headers of its files.

    Raises:
        CheckpointError: when there are no safetensors, a file is broken, or its index names a file elsewhere.
    """
    if (folder / ADAPTER).exists():
        raise CheckpointError(f"{ADAPTER}: an adapter would be put over the weights; merge it into them first")
    if (folder / WEIGHTS).exists():
        return dict(_tensors(folder / WEIGHTS))
    if not (folder / INDEX).exists():
        raise CheckpointError(without_weights(file.name for file in folder.glob("*")))
    shards = _read_index(folder)
    found = {file: dict(_tensors(folder / file)) for file in sorted(set(shards.values()))}
    for name, file in shards.items():
        if name not in found[file]:
            raise CheckpointError(f"{INDEX}: weight_map.{name} says {file}, which has no such tensor")
    return {name: found[file][name] for name, file in shards.items()}


def check_layers(config: SeqMTLConfig, shapes: Mapping[str, Shape]) -> None:
    """Make sure that ``config`` asks for no more layers than the weights can fill.

    It is asked before anything else is made of its JSON: some families of encoders list their layers when they read it.

    Raises:
        CheckpointError: naming the key that asks for too much.
    """
    parts = {"encoder": config.encoder, "backbone": config.backbone, "sharing": config.sharing, "tasks": config.tasks}
    for key, count in _layer_counts(parts, ""):
        if count > len(shapes):
            raise CheckpointError(
                f"config.json: {key} is {count:,}, but the weights are {len(shapes):,} tensors in all"
            )


def check_counts(config: SeqMTLConfig, shapes: Mapping[str, Shape]) -> None:
    """Make sure that ``config`` asks for no more tasks, labels and alphas than the weights can fill.

    What is built is built without memory, but for alpha and the transitions of a CRF, and costs time for each part.

    Raises:
        CheckpointError: naming the key that asks for too much.
    """
    tasks = config.sharing_task_names
    if len(tasks) > len(shapes):
        raise CheckpointError(f"config.json: {len(tasks):,} tasks, but the weights are {len(shapes):,} tensors in all")
    spec, numbers = config.sharing_spec, sum(map(prod, shapes.values()))
    for number, task in enumerate(config.task_list):
        least = len(task.labels) ** (2 if isinstance(task.spec.head, CRFHeadSpec) else 1)  # transitions, or weights
        if least > numbers:
            raise CheckpointError(
                f"config.json: tasks.{number}.labels are {len(task.labels):,}, but the weights are {numbers:,} numbers "
                "in all"
            )
    subspaces = spec.subspaces if isinstance(spec, SluiceSpec) else 1
    if isinstance(spec, CrossStitchSpec | SluiceSpec) and (len(tasks) * subspaces) ** 2 > numbers:
        raise CheckpointError(
            f"config.json: sharing.subspaces is {subspaces:,} for {len(tasks):,} tasks, but the weights have no alpha "
            "of that size"
        )


def check_shapes(expected: Mapping[str, Shape], found: Mapping[str, Shape], *, tasks: Iterable[str]) -> None:
    """Make sure that the weights are what ``config.json`` describes.

    Args:
        expected: of the model that it describes.
        found: in the files.
        tasks: whose heads there are to be.

    Raises:
        CheckpointError: naming tensors that are missing, not expected, or of another shape.
    """
    problems = {
        "missing keys": [name for name in expected if name not in found],
        "unexpected keys": [name for name in found if name not in expected],
        "mismatched keys": [
            f"{name} ({_size(found[name])} in the weights, {_size(shape)} by config.json)"
            for name, shape in expected.items()
            if name in found and found[name] != shape
        ],
    }
    described = "; ".join(f"{kind}: {_some(names)}" for kind, names in problems.items() if names)
    if described:
        headless = [task for task in tasks if not any(name.startswith(f"heads.{task}.") for name in found)]
        heads = f"; there is no head of task {', '.join(map(repr, headless))}" if headless else ""
        raise CheckpointError(f"the weights do not fit config.json: {described}{heads}")


def check_finite(tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Make sure that there is neither NaN nor infinity among weights.

    Raises:
        CheckpointError: naming the tensors that have some.
    """
    named = [(name, tensor) for name, tensor in tensors if tensor.is_floating_point() and tensor.device.type != "meta"]
    # The two ends of a tensor are not finite where any entry is not, and are found in a twentieth of the time.
    ends = {name: torch.stack(tensor.aminmax()) for name, tensor in named if tensor.numel()}
    broken = [name for name, pair in ends.items() if not pair.isfinite().all()]
    if broken:
        raise CheckpointError(f"the weights have NaN or infinite values: {_some(broken)}; training went wrong")


def without_weights(names: Iterable[str]) -> str:
    """What to say of a checkpoint that has files of these names, but no weights among them."""
    pickles = sorted(name for name in names if name.endswith(PICKLES))
    if not pickles:
        return f"has no {WEIGHTS}; a checkpoint needs it, or shards with {INDEX}"
    return (
        f"has no {WEIGHTS}, only {_some(pickles)}: loading a pickle runs whatever code its author put in, so seqmtl "
        "never does; ask for safetensors"
    )


def _tensors(path: Path) -> Iterator[tuple[str, Shape]]:
    try:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  # it is no mapping
                yield name, tuple(file.get_slice(name).get_shape())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path.name}: cannot be read: {error}") from None


def _read_index(folder: Path) -> dict[str, str]:
    """The file of each tensor."""
    try:
        shards = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        assert isinstance(shards, dict)
    except (OSError, ValueError, TypeError, KeyError, AssertionError) as error:
        raise CheckpointError(f"{INDEX}: is no index of shards: {type(error).__name__}: {error}") from None
    for name, file in shards.items():
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise CheckpointError(
                f"{INDEX}: weight_map.{name} is {file!r}; it must be the name of a .safetensors file of the same folder"
            )
    return shards


def _layer_counts(values: Any, path: str, *, counted: bool = False) -> Iterator[tuple[str, int]]:
    """The numbers of layers in a JSON value, whatever a family of encoders calls them, with their keys.

    Args:
        values: a mapping, a list or something else.
        path: of ``values``, as it stands before a key.
        counted: whether ``values`` is a list of such numbers, if it is one.
    """
    if isinstance(values, list):
        named = [(str(place), value, counted) for place, value in enumerate(values)]
    elif isinstance(values, Mapping):
        named = [(str(key), value, _is_count(str(key))) for key, value in values.items() if key != "label2id"]
    else:
        return
    for key, value, counts in named:
        if counts and type(value) is int:
            yield f"{path}{key}", value
        else:
            yield from _layer_counts(value, f"{path}{key}.", counted=counts)


def _is_count(key: str) -> bool:
    return bool(_COUNTS.search(key)) and not _SIZES.search(key)


def _some(names: list[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _size(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number"
