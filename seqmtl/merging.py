"""One model from two that share an encoder."""

from collections.abc import Mapping
from typing import Any

import torch

from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel

# Of an encoder's spec, what says nothing about what it computes: where it began, and how it is trained.
HISTORY = ("pretrained", "revision", "vectors", "trainable_layers", "gradient_checkpointing", "dropout", "word_dropout")
UNSAID = ("architectures", "dtype", "transformers_version")  # the same of a transformer's configuration


def merge_models(first: SeqMTLModel, second: SeqMTLModel) -> SeqMTLModel:
    """A new model with the tasks of both, each as its model has it; what they share must be the same in both.

    So it is when the second started from the first with its encoder frozen. Whether both read with one vocabulary
    models do not know: ``merge_checkpoints`` sees to it.

    Raises:
        ConfigError: when a task is in both, or encoder or sharing differ, or the sharing scheme mixes its tasks.
    """
    both = [task for task in second.tasks if task in first.tasks]
    if both:
        raise ConfigError(f"merge: both models have {', '.join(both)}; use remove_task on one of them first")
    if described(first.config) != described(second.config):
        raise ConfigError("merge: by their config.json the models are not of one encoder and sharing scheme")
    tasks = [*first.tasks.values(), *second.tasks.values()]
    built_for = [*first.config.sharing_task_names, *second.config.sharing_task_names]
    decoders = first.config.decoders | second.config.decoders
    merged = first.sibling(tasks, sharing_tasks=built_for, decoders=decoders)
    ours = first.state_dict()
    theirs = {name: values.to(first.device) for name, values in second.state_dict().items()}
    for name, values in merged.state_dict().items():
        found = [state[name] for state in (ours, theirs) if name in state]
        if not found or any(other.shape != values.shape for other in found):
            raise ConfigError(
                f"merge: {name} depends on which tasks there are under sharing of kind "
                f"{first.config.sharing_spec.kind!r}; train one model with all of them"
            )
    unequal = [name for name in ours if name in theirs and not torch.equal(ours[name], theirs[name])]
    if unequal:
        raise ConfigError(
            f"merge: the models differ in {unequal[0]}, in {len(unequal)} of the tensors that both have; "
            "train one with training.start_from the other and training.learning_rates.encoder 0"
        )
    merged.take(first)
    merged.take(second)
    return merged


def described(config: SeqMTLConfig) -> list[Mapping[str, Any]]:
    """What two models must have in common to be merged, beside their weights."""
    encoder = {key: value for key, value in config.encoder.items() if key not in HISTORY}
    backbone = {key: value for key, value in (config.backbone or {}).items() if key not in UNSAID}
    return [encoder, backbone, config.sharing]
