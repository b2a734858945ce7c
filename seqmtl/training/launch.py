"""How a run was launched: its processes, its precision, its trackers."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, is_initialized
from accelerate.utils import DistributedType

from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import JMTSpec
from seqmtl.training.sharded import check_shards

PRECISIONS = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}  # what Accelerate calls them


def launched(recipe: RecipeSpec, out: Path) -> Accelerator:
    """This process among those that train ``recipe`` into ``out``.

    Raises:
        ConfigError: when the recipe cannot be trained as it was launched, or a tracker is missing.
    """
    spec = recipe.training
    check_trackers(spec.trackers)
    precision = PRECISIONS[chosen_precision(spec.precision)]
    if is_initialized() and (former := AcceleratorState().mixed_precision) != precision:
        raise ConfigError(
            f"training.precision: {spec.precision!r}, but Accelerate was set up with {former!r} in this process, for "
            "which there is one precision; start another process"
        )
    accelerator = Accelerator(
        # Without this, Accelerate starts no process group on a machine without a GPU, whatever launched the processes.
        cpu=not torch.accelerator.is_available(),
        mixed_precision=precision,
        log_with=list(spec.trackers) or None,
        project_dir=str(out),
    )
    check_launch(accelerator.distributed_type)
    if precision == "fp16":
        check_fp16(recipe, accelerator)
    if accelerator.distributed_type == DistributedType.FSDP:
        assert accelerator.state.fsdp_plugin is not None
        check_shards(recipe, accelerator.state.fsdp_plugin)
    return accelerator


def check_trackers(trackers: Sequence[str]) -> None:
    """Make sure that the trackers are installed; Accelerate would leave out a missing one without a word.

    Raises:
        ConfigError: naming the missing package.
    """
    for tracker in trackers:
        if find_spec(tracker) is None:
            raise ConfigError(f"training.trackers: {tracker!r} is not installed; pip install {tracker}")


def check_launch(kind: DistributedType) -> None:
    """Make sure that each process holds the whole model or shards that can be gathered, and takes its own steps.

    Raises:
        ConfigError: when it was launched otherwise.
    """
    if kind in (DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM):
        raise ConfigError(
            f"launched with {kind.value}, which takes a step as soon as gradients are there, when a task without rows "
            "would have to be kept from decay and momentum; launch it with distributed_type MULTI_GPU, or FSDP and "
            "fsdp_version 2 where a model is too large for one GPU to train"
        )


def check_fp16(recipe: RecipeSpec, accelerator: Accelerator) -> None:
    """Make sure that gradients can be scaled so that half precision holds them.

    Raises:
        ConfigError: when Accelerate does not scale on this machine, or what adds to the gradients does not know how.
    """
    if accelerator.scaler is None or accelerator.is_fsdp2:
        where = "with FSDP2" if accelerator.is_fsdp2 else f"on {accelerator.device.type}"
        raise ConfigError(f"training.precision: 'fp16' is not offered {where}; choose bf16, fp32 or auto")
    if isinstance(recipe.sharing, JMTSpec) and recipe.sharing.successive_regularisation is not None:
        raise ConfigError(
            "sharing.successive_regularisation: adds to gradients, which training.precision 'fp16' scales; leave it "
            "out, or choose bf16, fp32 or auto"
        )


def chosen_precision(asked: str) -> str:
    """What ``auto`` means here: bf16 on a GPU that has it, else fp32."""
    if asked != "auto":
        return asked
    return "bf16" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "fp32"
