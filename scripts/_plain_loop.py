"""A task by itself, trained as transformers' ``run_ner_no_trainer.py`` does: a token classifier and a plain loop.

Softmax over the first sub-word of each word, AdamW as torch has it, a linear schedule, no clipping.
"""

import torch
from torch import Tensor
from transformers import AutoModelForTokenClassification, get_scheduler

from seqmtl.batch import IGNORED, Batch, TokenTargets
from seqmtl.data.tasks import Task
from seqmtl.specs.packages import locate


class PlainLoop:
    """One task on an encoder of its own."""

    def __init__(self, task: Task, *, pretrained: str, steps: int) -> None:
        """Train for ``steps`` steps at most."""
        self.task = task.name
        self.model = AutoModelForTokenClassification.from_pretrained(
            locate(pretrained), num_labels=len(task.labels), trust_remote_code=False, use_safetensors=True
        ).train()
        named = list(self.model.named_parameters())
        spared = ("bias", "LayerNorm.weight")
        groups = [
            {"params": [p for n, p in named if not n.endswith(spared)], "weight_decay": 0.01},
            {"params": [p for n, p in named if n.endswith(spared)], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=5e-5)
        self.schedule = get_scheduler("linear", self.optimizer, num_warmup_steps=0, num_training_steps=steps)

    def step(self, batch: Batch) -> None:
        """A step on the sub-words of a batch."""
        pieces = batch.inputs.pieces
        assert pieces is not None
        loss = self.model(input_ids=pieces.ids, attention_mask=pieces.mask, labels=self._labels(batch)).loss
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        self.optimizer.zero_grad()

    def _labels(self, batch: Batch) -> Tensor:
        """The label of each word at its first piece, ``[W, P]``."""
        pieces, targets = batch.inputs.pieces, batch.targets[self.task]
        assert pieces is not None
        assert isinstance(targets, TokenTargets)
        labels = torch.full_like(pieces.ids, IGNORED)
        real = targets.labels != IGNORED  # [R, T]
        labels.view(-1)[pieces.first[targets.rows][real]] = targets.labels[real]
        return labels
