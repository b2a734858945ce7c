"""How long, how fast and how carefully to train."""

from typing import Literal

from pydantic import Field

from seqmtl.specs.base import Spec
from seqmtl.specs.encoders import Probability


class LearningRates(Spec):
    """Peak learning rate per parameter group."""

    encoder: float = Field(
        default=2e-4, ge=0.0, description="the pretrained encoder, copies of its blocks too, or the BiLSTM"
    )
    sharing: float = Field(default=1e-3, ge=0.0, description="towers of BiLSTMs, and what else a scheme adds")
    mixing: float = Field(
        default=1e-2, ge=0.0, description="alpha and beta of cross-stitch and sluice networks; mixtures of layers"
    )
    heads: float = Field(default=1e-3, ge=0.0)


class TrainingSpec(Spec):
    """One run of training."""

    epochs: int = Field(default=3, ge=1)
    max_steps: int | None = Field(default=None, ge=1, description="stop here even inside an epoch")
    learning_rates: LearningRates = LearningRates()
    layer_decay: float = Field(
        default=1.0, gt=0.0, le=1.0, description="learning-rate factor per layer down the transformer"
    )
    weight_decay: float = Field(default=0.01, ge=0.0)
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    warmup: Probability = Field(default=0.1, description="share of all steps")
    clip_norm: float = Field(default=1.0, gt=0.0)
    accumulation: int = Field(default=1, ge=1, description="micro-batches per optimiser step")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        default="auto", description="auto: bf16 on a GPU that has it, else fp32; fp16: for older GPUs"
    )
    compiled: bool = Field(default=False, description="torch.compile a pretrained transformer; for GPUs")
    evaluate_every: int = Field(default=1, ge=1, description="epochs between evaluations on dev")
    patience: int | None = Field(default=None, ge=1, description="evaluations without a better mean before stopping")
    save_best_per_task: bool = Field(
        default=False, description="keep each task's best checkpoint in best/TASK, beside the best by mean"
    )
    start_from: str | None = Field(
        default=None, description="a run; its parameters of the same name and shape are taken over before training"
    )
    freeze: Literal["meta"] | None = Field(
        default=None, description="meta: keep the Meta-LSTM as the run to start from has it, for transfer"
    )
    log_coupling_every: int = Field(
        default=100, ge=1, description="steps between entries of what the tasks share in history.jsonl"
    )
    save_every: int | None = Field(
        default=None, ge=1, description="steps between saved states, to go on from; null: at the end of each epoch only"
    )
    keep_states: int = Field(default=1, ge=1, description="the newest n are kept, until the run is finished")
    seed: int = Field(default=1, ge=0)
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ()
