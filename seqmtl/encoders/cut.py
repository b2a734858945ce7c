"""Taking the top blocks out of a pretrained transformer, so that towers may hold copies of them.

W windows, P pieces, D features.
"""

from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from seqmtl.batch import BlockCall
from seqmtl.encoders.backbone import blocks
from seqmtl.errors import ConfigError
from seqmtl.layers.blocks import Family, TopBlocks

_BERT = Family(outputs=("attention.output.dense", "output.dense"))
_DEBERTA = Family(outputs=("attention.output.dense", "output.dense"), pair=True)

FAMILIES = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "electra": _BERT,
    "distilbert": Family(outputs=("attention.out_lin", "ffn.lin2")),
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,
    "modernbert": Family(outputs=("attn.Wo", "mlp.Wo"), norm="final_norm"),
}


class Tap(nn.Module):
    """Stands where a block was: notes what the transformer hands to it, and passes the state on."""

    def __init__(self, block: nn.Module, family: Family) -> None:
        """Stand in for ``block``."""
        super().__init__()
        self.pair = family.pair
        self.attention_type = getattr(block, "attention_type", None)  # by which ModernBERT chooses the block's mask
        self.call: BlockCall | None = None

    def forward(self, state: Tensor, *arguments: Any, **options: Any) -> Any:  # the signature is the family's
        """``[W, P, D]`` to itself."""
        self.call = BlockCall(arguments, options)
        return (state, None) if self.pair else state

    def take(self) -> BlockCall:
        """What was noted, which is then forgotten: no graph outlives its step."""
        assert self.call is not None
        call, self.call = self.call, None
        return call


def cut(model: PreTrainedModel, *, layers: int, key: str = "sharing.tower") -> TopBlocks:
    """Take the top ``layers`` blocks out of ``model``, in place; taps remain. ``key`` of the recipe asks for them.

    Raises:
        ConfigError: when the family is none of ``FAMILIES``, or has too few blocks.
    """
    kind = model.config.model_type
    family = FAMILIES.get(kind)
    if family is None:
        raise ConfigError(
            f"{key}.kind: a tower of transformer blocks can be made of {', '.join(FAMILIES)}; the encoder is {kind!r}: "
            "use towers of kind 'bilstm' on it"
        )
    stack = blocks(model)
    if not 1 <= layers <= len(stack):
        raise ConfigError(
            f"{key}.layers: got {layers}, but the encoder has {len(stack)} blocks; allowed: 1 to {len(stack)}"
        )
    below = len(stack) - layers
    if below == 0 and _convolves(model):
        raise ConfigError(
            f"{key}.layers: got {layers}, but this DeBERTa convolves after its first block, which must stay shared; "
            "use fewer, or towers of kind 'bilstm'"
        )
    top = tuple(stack[below:])
    for number, block in enumerate(top, start=below):
        stack[number] = Tap(block, family)
    norm = None
    if family.norm is not None:
        norm = getattr(model, family.norm)
        setattr(model, family.norm, nn.Identity())
    config = model.config
    return TopBlocks(family, top, norm, width=config.hidden_size, heads=config.num_attention_heads)


def taps(model: PreTrainedModel) -> list[Tap]:
    """The taps of a model, lowest first; none in a whole one."""
    return [block for block in model.modules() if isinstance(block, Tap)]


def _convolves(model: PreTrainedModel) -> bool:
    return any(getattr(module, "conv", None) is not None for module in model.children())
