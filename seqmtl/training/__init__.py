"""Training: from a recipe to a run folder, which is the checkpoint."""

from seqmtl.training.run import Evaluation, compare_evaluations, evaluate_checkpoint, train_recipe

__all__ = ["Evaluation", "compare_evaluations", "evaluate_checkpoint", "train_recipe"]
