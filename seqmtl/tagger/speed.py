"""Other ways to run a model, for speed."""

import copy

from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.errors import ConfigError
from seqmtl.layers import int8
from seqmtl.modeling import SeqMTLModel


def lowered(model: SeqMTLModel) -> SeqMTLModel:
    """A model that computes the linear maps of encoder and sharing in eight bits, and has all else from ``model``.

    Heads are small, and their scores decide.

    Raises:
        ConfigError: when the encoder is no transformer, or the machine has no such products.
    """
    transformer_of(model, option="precision 'int8'")
    if model.device.type != "cpu" or not int8.is_there:
        raise ConfigError(f"precision: 'int8' needs a CPU and torch with oneDNN, and the model is on {model.device}")
    copied = copy.copy(model)
    copied._modules = {**model._modules, "encoder": int8.in_int8(model.encoder), "sharing": int8.in_int8(model.sharing)}
    return copied


def transformer_of(model: SeqMTLModel, *, option: str) -> TransformerEncoder:
    """The encoder of a model, for an ``option`` that only transformers have.

    Raises:
        ConfigError: when it is another.
    """
    if not isinstance(model.encoder, TransformerEncoder):
        raise ConfigError(f"{option}: is for encoders of kind 'transformer', and this model's is none; leave it out")
    return model.encoder
