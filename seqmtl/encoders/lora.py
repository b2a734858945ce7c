"""Low-rank adapters in a pretrained transformer (LoRA, Hu et al. 2022), made and merged by peft.

peft is imported where it is used: few recipes need it.
"""

from collections.abc import Sequence
from copy import deepcopy
from importlib.util import find_spec
from typing import TypeVar

from torch import nn
from transformers import PreTrainedModel

from seqmtl.encoders.backbone import blocks
from seqmtl.errors import ConfigError, nearest
from seqmtl.layers.on_cpu import faster_on_cpu

KEY = "encoder.lora"

Model = TypeVar("Model", bound=nn.Module)


def check_peft() -> None:
    """Make sure that there is peft.

    Raises:
        ConfigError: naming the command that installs it.
    """
    if find_spec("peft") is None:
        raise ConfigError(f"{KEY}: peft, which makes the adapters, is not installed; pip install 'seqmtl[lora]'")


def add_adapters(
    model: PreTrainedModel, *, rank: int, alpha: int, dropout: float, modules: Sequence[str] | None
) -> None:
    """Put adapters beside linear maps of the blocks of ``model``, in place; nothing else of it trains then.

    Blocks that are frozen get none. The linear maps keep the faster form that they have on a CPU, and the adapters
    get it.

    Args:
        model: a transformer.
        rank: of the updates.
        alpha: by ``alpha / rank`` they are scaled.
        dropout: of what an adapter reads.
        modules: ends of the names of linear maps, in whole parts; None: all.

    Raises:
        ConfigError: when there are no such maps.
        EncoderError: when the family keeps its blocks in an unknown way.
    """
    from peft import LoraConfig, inject_adapter_in_model

    targets = linear_maps(model, modules)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=targets)
    inject_adapter_in_model(config, model)
    faster_on_cpu(model)
    model.train(model.training)  # adapters, too


def linear_maps(model: PreTrainedModel, modules: Sequence[str] | None) -> list[str]:
    """The names in ``model`` of the linear maps in blocks that train, of all or of those that end as ``modules``.

    Raises:
        ConfigError: when there are none, or none of one ending.
    """
    inside = {id(module): name for block in blocks(model) for name, module in block.named_modules()}
    found = {
        path: inside[id(module)]
        for path, module in model.named_modules()
        if id(module) in inside and isinstance(module, nn.Linear) and module.weight.requires_grad
    }
    if not found:
        raise ConfigError(
            f"{KEY}: the encoder has no block of its own left that trains; raise encoder.trainable_layers, or give "
            "towers fewer of its blocks"
        )
    names = sorted(set(found.values()))
    for end in modules or ():
        if not any(_ends(name, end) for name in names):
            raise ConfigError(
                f"{KEY}.modules: no linear map of a block is called {end!r}; {nearest(end, names)}, or how they end"
            )
    return [path for path, name in found.items() if modules is None or any(_ends(name, end) for end in modules)]


def merged(model: Model) -> Model:
    """A copy of ``model`` with the adapters in its weights, and none beside them."""
    from peft.tuners.lora import LoraLayer

    copy = deepcopy(model)
    for name, module in [*copy.named_modules()]:
        if isinstance(module, LoraLayer):
            module.merge()
            copy.set_submodule(name, module.get_base_layer())
    return copy


def _ends(name: str, end: str) -> bool:
    return f".{name}".endswith(f".{end}")
