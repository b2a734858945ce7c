"""Models whose parameters are sharded over the processes (FSDP2): as whole ones, and back.

Between steps a process has a part of each parameter, as a ``DTensor``. What needs all of a model, scores, checkpoints
and saved states, has it gathered.
"""

import warnings
from collections.abc import Mapping
from typing import Any

from accelerate.utils import FullyShardedDataParallelPlugin
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor

from seqmtl.encoders.backbone import blocks
from seqmtl.encoders.cut import Tap
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import SluiceSpec, SoftSpec, transformer_towers


def check_shards(recipe: RecipeSpec, plugin: FullyShardedDataParallelPlugin) -> None:
    """Make sure that the model can be cut in shards and gathered.

    Raises:
        ConfigError: naming the key of the launch, or that of the recipe which reads parameters in shards.
    """
    if plugin.fsdp_version != 2:
        raise ConfigError(f"fsdp_version: got {plugin.fsdp_version}; launch with 2, as docs/accelerate/fsdp2.yaml does")
    if plugin.cpu_ram_efficient_loading:
        raise ConfigError(
            "fsdp_cpu_ram_efficient_loading: got true, which leaves all but the first process without weights to score "
            "with; launch with false"
        )
    sharing = recipe.sharing
    copies = any(transformer_towers(sharing))  # of blocks, each of which is in shards of its own
    reads = {
        "pseudo_tasks": recipe.pseudo_tasks is not None,
        "mixture.schedule": recipe.mixture.schedule != "interleaved",
        "sharing.weight": isinstance(sharing, SoftSpec) and copies,
        "sharing.orthogonality": isinstance(sharing, SluiceSpec) and copies and sharing.orthogonality > 0.0,
    }
    if recipe.training.compiled:
        raise ConfigError("training.compiled: is not offered with FSDP2; leave it out, or launch with MULTI_GPU")
    for key, found in reads.items():
        if found:
            raise ConfigError(
                f"{key}: reads parameters where FSDP2 has them in shards; leave it out, or launch with "
                "distributed_type MULTI_GPU"
            )


def plan_shards(plugin: FullyShardedDataParallelPlugin, model: SeqMTLModel) -> None:
    """Say how ``model`` is to be cut: each block of the encoder and of towers is gathered by itself when it is run.

    What families say of themselves will not do: some name no blocks, others their embeddings, which we read, too.
    """
    # Losses of no rows may be views; nothing is done to any loss in place.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    plugin.mixed_precision_policy = None  # autocast chooses, as for a whole model
    if plugin.transformer_cls_names_to_wrap is None:
        stacks = [[*tower.layers.values()] for tower in model.sharing.modules() if isinstance(tower, TransformerTower)]
        if isinstance(model.encoder, TransformerEncoder):
            stacks.append([*blocks(model.encoder.model)])
        found = {type(block).__name__ for stack in stacks for block in stack if not isinstance(block, Tap)}
        plugin.transformer_cls_names_to_wrap = sorted(found)


def gathered(value: Any, *, keep: bool = True) -> Any:
    """Nested values with whole tensors on the CPU for those in shards; every process calls this.

    Args:
        value: mappings, lists, tensors and what else there is, which is left as it is.
        keep: False where only the other processes need the tensors: those in shards are then empty.
    """
    if isinstance(value, DTensor):
        entire = whole(value).detach()
        return entire.cpu() if keep else entire.new_empty(0, device="cpu")
    if isinstance(value, Mapping):
        return {key: gathered(inner, keep=keep) for key, inner in value.items()}
    if isinstance(value, list):
        return [gathered(inner, keep=keep) for inner in value]
    return value


def whole(value: Tensor) -> Tensor:
    """A tensor that may be in shards, where it is; every process calls this."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def placed(value: Tensor, like: Tensor) -> Tensor:
    """This process's part of a whole tensor if a tensor of its shape is in shards; else all of it."""
    if not isinstance(like, DTensor) or value.shape != like.shape:
        return value
    local = value.to(like.device)
    return distribute_tensor(local, like.device_mesh, like.placements, src_data_rank=None)  # all processes have read it
