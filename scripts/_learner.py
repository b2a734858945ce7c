"""What the benchmarks of training steps share: a model with its optimiser, and the batches that it learns from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils import clip_grad_norm_

from seqmtl.batch import Batch, FrameTargets
from seqmtl.data.collation import Collator
from seqmtl.data.mixture import BatchStream, Mixture, Step
from seqmtl.data.tasks import Task
from seqmtl.modeling import SeqMTLModel
from seqmtl.objectives.weighting import joint_loss
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import SharingSpec
from seqmtl.training.optimisation import build_optimizer
from seqmtl.training.setup import Prepared


@dataclass(frozen=True)
class Lesson:
    """What one step learns from.

    Attributes:
        batch: of all tasks.
        words: labelled words of each task.
    """

    batch: Batch
    words: dict[str, int]


class Learner:
    """One model with its optimiser."""

    def __init__(
        self,
        prepared: Prepared,
        tasks: Sequence[Task],
        sharing: SharingSpec,
        *,
        decoders: Mapping[str, DecodersSpec] | None = None,
        device: str = "cpu",
    ) -> None:
        """``tasks`` on the encoder of ``prepared`` under ``sharing``; with ``decoders`` some have more than one."""
        self.names = [task.name for task in tasks]
        config = prepared.recipe
        self.model = SeqMTLModel.from_encoder(
            config.encoder, tasks=tasks, sharing=sharing, decoders=decoders, sizes=prepared.model.config.sizes
        ).train()
        self.model.to(device)  # type: ignore[arg-type]  # transformers wraps torch's method
        self.optimizer = build_optimizer(self.model, config.training)

    def step(self, lesson: Lesson) -> None:
        """A full optimiser step on the targets of this learner's tasks."""
        losses = self.model(lesson.batch.inputs, {name: lesson.batch.targets[name] for name in self.names})
        weights = dict.fromkeys(self.names, 1.0)
        joint_loss(losses, weights=weights, words=lesson.words, processes=1, micro_batches=1).backward()
        clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def tagging(model: SeqMTLModel, names: Sequence[str]) -> Callable[[Lesson], None]:
    """Inference of some tasks on a batch, decoding included; the roles of gold predicates."""
    model.eval()

    @torch.inference_mode()
    def tag(lesson: Lesson) -> None:
        inputs = lesson.batch.inputs
        features = model.features(inputs, names)
        for name in names:
            target = lesson.batch.targets[name]
            if isinstance(target, FrameTargets):
                model.decode_roles(name, features[name], inputs.word_mask, predicates=target.predicates)
            else:
                model.decode_words(name, features[name], inputs.word_mask)

    return tag


def steps_of(prepared: Prepared, *, count: int) -> list[Step]:
    """The first ``count`` steps of the recipe on one process."""
    mixture = Mixture(prepared.train, prepared.recipe.mixture, seed=1, epochs=1)
    stream = BatchStream(mixture, length=prepared.indexer.length, rank=0, processes=1, accumulation=1)
    return [step for step, _ in zip(stream, range(count), strict=False)]


def lessons(prepared: Prepared, tasks: Sequence[Task], *, count: int, device: str = "cpu") -> list[Lesson]:
    """The first ``count`` batches of the recipe, with the targets of ``tasks``."""
    collate = Collator(prepared.indexer, tasks)
    return [
        Lesson(
            collate(step.rows).to(device),
            {task.name: max(1, sum(task.weight_of(row, corpus=c) for c, row in step.rows)) for task in tasks},
        )
        for step in steps_of(prepared, count=count)
    ]
