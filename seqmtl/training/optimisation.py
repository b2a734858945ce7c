"""Which parameter learns how fast, and when."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from seqmtl.encoders.backbone import blocks
from seqmtl.encoders.transformer import CaseEmbedding, TransformerEncoder
from seqmtl.layers.mixing import Alpha, Beta, ChannelAlpha
from seqmtl.layers.scalar_mix import ScalarMix
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.jmt import LabelEmbedding
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.training import TrainingSpec

MIXING_MODULES = (Alpha, ChannelAlpha, Beta)
NO_DECAY_MODULES = (*MIXING_MODULES, ScalarMix, nn.LayerNorm, nn.Embedding, CaseEmbedding, LabelEmbedding)
NO_DECAY_NAMES = ("bias", "start", "end")  # vectors, though K decoders make them matrices


def build_optimizer(model: SeqMTLModel, spec: TrainingSpec) -> AdamW:
    """AdamW over named groups: a learning rate per room, falling down the transformer's layers, decay where it belongs.

    Weight decay spares biases, norms, embeddings and mixing scalars: every parameter that is no matrix, and those of
    ``NO_DECAY_NAMES`` and ``NO_DECAY_MODULES``.
    """
    undecayed = {id(p) for m in model.modules() if isinstance(m, NO_DECAY_MODULES) for p in m.parameters(recurse=False)}
    undecayed |= {id(p) for name, p in model.named_parameters() if name.split(".")[-1] in NO_DECAY_NAMES}
    groups: dict[tuple[str, float, float], list[nn.Parameter]] = {}
    for room, rate, parameter in _rated(model, spec):
        decayed = parameter.ndim > 1 and id(parameter) not in undecayed
        groups.setdefault((room, rate, spec.weight_decay if decayed else 0.0), []).append(parameter)
    return AdamW(
        [
            {"params": parameters, "lr": rate, "weight_decay": decay, "name": room}
            for (room, rate, decay), parameters in groups.items()
        ],
        betas=spec.betas,
        fused=True,  # one pass over parameters and moments, on CPU and CUDA
    )


def _rated(model: SeqMTLModel, spec: TrainingSpec) -> Iterator[tuple[str, float, nn.Parameter]]:
    """Each trainable parameter with its room and its learning rate."""
    depth = _depths(model) if spec.layer_decay < 1.0 else {}
    rates = {
        "encoder": spec.learning_rates.encoder,
        "sharing": spec.learning_rates.sharing,
        "mixing": spec.learning_rates.mixing,
        "heads": spec.learning_rates.heads,
    }
    moved = {id(p): "heads" for p in _fresh_encoder_parameters(model)}  # random at the start: it learns like a head
    for module in model.sharing.modules():
        if isinstance(module, TransformerTower):  # pretrained
            moved |= {id(p): "encoder" for p in module.parameters()}
        elif isinstance(module, (*MIXING_MODULES, ScalarMix)):
            moved |= {id(p): "mixing" for p in module.parameters()}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        room = moved.get(id(parameter), name.split(".", maxsplit=1)[0])
        yield room, rates[room] * spec.layer_decay ** depth.get(id(parameter), 0), parameter


def _fresh_encoder_parameters(model: SeqMTLModel) -> list[nn.Parameter]:
    """Parameters that stand around a pretrained encoder."""
    if not isinstance(model.encoder, TransformerEncoder):
        return []
    inside = {id(p) for p in model.encoder.model.parameters()}
    return [p for p in model.encoder.parameters() if id(p) not in inside]


def _depths(model: SeqMTLModel) -> dict[int, int]:
    """How many blocks lie above each parameter of a transformer; embeddings lie below all of them."""
    if not isinstance(model.encoder, TransformerEncoder):
        return {}
    stack = blocks(model.encoder.model)
    depth = {id(p): len(stack) for p in model.encoder.model.parameters()}
    for number, block in enumerate(stack):
        depth |= {id(p): len(stack) - 1 - number for p in block.parameters()}
    for tower in model.sharing.modules():
        if isinstance(tower, TransformerTower):
            for number, block in tower.layers.items():
                depth |= {id(p): tower.depth - 1 - int(number) for p in block.parameters()}
    return depth


def build_schedule(optimizer: torch.optim.Optimizer, spec: TrainingSpec, *, steps: int) -> LambdaLR:
    """Linear warm-up, then constant, linear or cosine decay to 0 at ``steps``."""
    return LambdaLR(optimizer, rate_factor(spec, steps=steps))


def rate_factor(spec: TrainingSpec, *, steps: int) -> Callable[[int], float]:
    """By what each learning rate is multiplied, after so many of all ``steps``."""
    warmup = round(spec.warmup * steps)

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        progress = min(1.0, (step - warmup) / max(1, steps - warmup))
        match spec.schedule:
            case "constant":
                return 1.0
            case "linear":
                return 1.0 - progress
            case "cosine":
                return 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor
