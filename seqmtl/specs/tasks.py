"""What there is to learn: a task is a layer of annotation and the head that predicts it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqmtl.specs.base import Spec
from seqmtl.specs.encoders import Probability

Width = Annotated[int, Field(ge=2, multiple_of=2)]
BILSTM = Field(default=None, description="width of a BiLSTM of its own, which the head reads beside the features")


class SoftmaxHeadSpec(Spec):
    """One label per word, each word on its own; span layers are decoded under their scheme's constraints."""

    kind: Literal["softmax"]
    hidden: int | None = Field(default=None, ge=1, description="size of a hidden layer; null: linear")
    dropout: Probability = 0.1
    bilstm: Width | None = BILSTM
    label_smoothing: Probability = 0.0
    class_weights: Literal["none", "balanced"] | dict[str, float] = "none"
    constrained: bool = Field(default=True, description="decode span layers to sequences that the scheme allows")


class CRFHeadSpec(Spec):
    """Linear-chain conditional random field (Lafferty et al. 2001)."""

    kind: Literal["crf"]
    hidden: int | None = Field(default=None, ge=1)
    dropout: Probability = 0.1
    bilstm: Width | None = BILSTM
    constrained: bool = Field(default=True, description="forbid the transitions that the scheme forbids")


class PredicateHeadSpec(Spec):
    """Which words are predicates."""

    kind: Literal["predicate"]
    hidden: int | None = Field(default=None, ge=1)
    dropout: Probability = 0.1
    bilstm: Width | None = BILSTM


class SRLHeadSpec(Spec):
    """Semantic roles of all predicates of a sentence, from one encoding of it."""

    kind: Literal["srl"]
    contextualiser: Literal["bilstm", "attention"] = "bilstm"
    width: int = Field(default=256, ge=32, multiple_of=32, description="size of the predicate-aware states")
    layers: int = Field(default=1, ge=1)
    max_distance: int = Field(default=32, ge=1, description="word distances to the predicate are clipped here")
    dropout: Probability = 0.1


HeadSpec = Annotated[SoftmaxHeadSpec | CRFHeadSpec | PredicateHeadSpec | SRLHeadSpec, Field(discriminator="kind")]

FRAME_LAYER = "srl_frames"


class TaskSpec(Spec):
    """One task.

    ``layer`` names the annotation that it learns; ``scheme`` says that the layer's tags are spans and how they are
    written inside the model (corpora in another scheme are converted); ``predicates`` names, for an ``srl`` task, the
    task that finds the predicates when raw text is tagged.
    """

    layer: str
    head: HeadSpec
    scheme: Literal["bio", "bioes"] | None = None
    weight: float = Field(default=1.0, ge=0.0, description="of this task's loss in the sum")
    corpora: tuple[str, ...] | None = Field(default=None, description="learn from these only; null: from all")
    predicates: str | None = None
    unseen_labels: Literal["error", "allow"] = Field(
        default="error",
        description="labels that were not collected for training: stop; or count those of dev as errors of the model, "
        "and skip those of later training rows, in a crf head with their whole sentence",
    )

    @model_validator(mode="after")
    def _head_fits_layer(self) -> "TaskSpec":
        on_frames = self.head.kind in ("predicate", "srl")
        if on_frames != (self.layer == FRAME_LAYER):
            raise ValueError(
                f"a {self.head.kind!r} head cannot learn layer {self.layer!r}; "
                f"predicate and srl heads learn {FRAME_LAYER!r}, softmax and crf heads any other layer"
            )
        if on_frames and self.scheme is not None:
            raise ValueError(f"'scheme' is for softmax and crf heads; {FRAME_LAYER!r} is always BIO")
        if self.predicates is not None and self.head.kind != "srl":
            raise ValueError("'predicates' is for srl heads")
        return self
