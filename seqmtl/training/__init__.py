"""Training: from a recipe to a run folder, which is the checkpoint."""

from seqmtl.training.prune import PrunedRun, prune_checkpoint
from seqmtl.training.run import Evaluation, compare_evaluations, evaluate_checkpoint, train_recipe

__all__ = [
    "Evaluation",
    "PrunedRun",
    "compare_evaluations",
    "evaluate_checkpoint",
    "prune_checkpoint",
    "train_recipe",
]
