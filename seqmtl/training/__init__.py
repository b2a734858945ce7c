"""Training: from a recipe to a run folder, which is the checkpoint."""

from seqmtl.training.run import Evaluation, evaluate_checkpoint, train_recipe

__all__ = ["Evaluation", "evaluate_checkpoint", "train_recipe"]
