"""Loading a model of which nothing is trusted before it is known to fit."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import TypeVar

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import CheckpointError
from seqmtl.weights import Shape, check_counts, check_finite, check_shapes

Model = TypeVar("Model", bound=PreTrainedModel)


@contextmanager
def about(name: str | os.PathLike) -> Iterator[None]:
    """Let whatever is wrong with a checkpoint be a ``CheckpointError`` that begins with its name."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f"{os.fspath(name)}: {error}") from None
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{os.fspath(name)}: cannot be loaded: {first_line(error)}") from None


def check_fit(shapes: Mapping[str, Shape], config: SeqMTLConfig, *, build: Callable[[SeqMTLConfig], Model]) -> None:
    """Make sure that weights of these shapes are those of the model that ``config`` describes.

    Raises:
        CheckpointError: naming the key, or the tensors, at which they part.
    """
    check_counts(config, shapes)
    check_shapes(stored_shapes(blueprint(config, build=build)), shapes, tasks=[task.name for task in config.task_list])


def blueprint(config: SeqMTLConfig, *, build: Callable[[SeqMTLConfig], Model]) -> Model:
    """The model that ``config`` describes, without memory for its numbers.

    Raises:
        CheckpointError: when it describes none.
    """
    try:
        with torch.device("meta"):
            return build(deepcopy(config))
    except Exception as error:  # whatever torch, or a family of encoders, makes of numbers that do not go together
        raise CheckpointError(f"config.json describes no model that can be built: {first_line(error)}") from None


def stored_shapes(model: PreTrainedModel) -> dict[str, Shape]:
    """The name and shape of each tensor, as ``save_pretrained`` writes them."""
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in model.all_tied_weights_keys}
    return {name: tuple(tensor.shape) for name, tensor in revert_weight_conversion(model, state).items()}


def settle(model: PreTrainedModel) -> None:
    """Make sure that the numbers of a model are numbers, and that it owns them.

    Loaded tensors lie in the mapped file at odd addresses, where matrix products round otherwise than in the model that
    was saved; in memory of their own they give its bits, and the file may be overwritten.

    Raises:
        CheckpointError: when there is NaN or infinity among them.
    """
    check_finite(model.state_dict().items())
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def first_line(error: Exception) -> str:
    """What an error says first."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
