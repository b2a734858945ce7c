"""Pretrained transformers: loading them, and finding their blocks."""

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.utils.peft_utils import ADAPTER_CONFIG_NAME, find_adapter_config_file

from seqmtl.errors import EncoderError
from seqmtl.specs.packages import cannot_load, locate

# What families call the rates of their dropouts: of BERT and its like, DistilBERT, ModernBERT, GPT-2 and its like.
DROPOUTS = (
    *("hidden_dropout_prob", "attention_probs_dropout_prob"),
    *("dropout", "attention_dropout", "embedding_dropout", "mlp_dropout"),
    *("resid_pdrop", "embd_pdrop", "attn_pdrop"),
)


def load_backbone_config(pretrained: str, *, revision: str | None = None) -> PreTrainedConfig:
    """The configuration of an encoder.

    Raises:
        EncoderError: when there is no such encoder, or it would run code from the hub.
    """
    try:
        return AutoConfig.from_pretrained(locate(pretrained), revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(cannot_load("encoder", pretrained, error)) from None


def set_dropout(config: PreTrainedConfig, rate: float) -> None:
    """Give every dropout of an encoder that is yet to be built the same rate.

    Raises:
        EncoderError: when its family calls them otherwise.
    """
    known = [name for name in DROPOUTS if hasattr(config, name)]
    if not known:
        raise EncoderError(
            f"encoder.inner_dropout: {type(config).__name__} has none of {', '.join(DROPOUTS)}; leave it out"
        )
    for name in known:
        setattr(config, name, rate)


def load_backbone(pretrained: str, *, revision: str | None = None) -> PreTrainedModel:
    """An encoder with its pretrained weights, from safetensors only, without its pooler.

    Raises:
        EncoderError: when there is no such encoder, or its weights are missing, broken, a pickle, or of other shapes.
    """
    try:
        if find_adapter_config_file(locate(pretrained), revision=revision) is not None:
            # Where peft is installed, transformers would put the adapter over the weights, and read it from a pickle.
            raise ValueError(f"{ADAPTER_CONFIG_NAME}: it is an adapter, or has one; merge it into its encoder first")
        model = AutoModel.from_pretrained(
            locate(pretrained), revision=revision, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except RuntimeError:  # transformers has listed the parameters in its log
        problem = ValueError("its weights do not have the shapes that its config.json describes")
        raise EncoderError(cannot_load("encoder", pretrained, problem)) from None
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise EncoderError(cannot_load("encoder", pretrained, error)) from None
    return without_pooler(model)


def build_backbone(config: PreTrainedConfig) -> PreTrainedModel:
    """An encoder of the same shape with random weights, into which a checkpoint is loaded."""
    # In the precision of what is around it, not in that of the encoder from which training once started.
    return without_pooler(AutoModel.from_config(config, trust_remote_code=False, dtype=torch.get_default_dtype()))


def without_pooler(model: PreTrainedModel) -> PreTrainedModel:
    """Drop the sentence pooler: no word reads it, and a parameter outside the graph breaks distributed training."""
    if getattr(model, "pooler", None) is not None:
        model.pooler = None  # type: ignore[assignment]
    return model


def blocks(model: PreTrainedModel) -> nn.ModuleList:
    """The transformer blocks of any family, lowest first.

    Raises:
        EncoderError: when the family keeps them in an unknown way.
    """
    n_blocks = getattr(model.config, "num_hidden_layers", None)
    for module in model.modules():
        if isinstance(module, nn.ModuleList) and len(module) == n_blocks:
            return module
    raise EncoderError(
        f"{type(model).__name__}: cannot find its {n_blocks} blocks, which trainable_layers and layer_decay need; "
        "leave both out for this encoder"
    )


def freeze_below(model: PreTrainedModel, *, trainable_layers: int) -> None:
    """Freeze everything but the top ``trainable_layers`` blocks.

    Raises:
        EncoderError: when the encoder has fewer blocks.
    """
    stack = blocks(model)
    if trainable_layers > len(stack):
        raise EncoderError(f"encoder.trainable_layers: got {trainable_layers}, but the encoder has {len(stack)} blocks")
    model.requires_grad_(False)
    for block in list(stack)[len(stack) - trainable_layers :]:
        block.requires_grad_(True)
