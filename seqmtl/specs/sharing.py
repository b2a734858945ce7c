"""How the tasks share what lies between the encoder and the heads."""

from typing import Annotated, Literal

from pydantic import Field

from seqmtl.specs.base import Spec
from seqmtl.specs.encoders import Probability


class BiLSTMTowerSpec(Spec):
    """A stack of BiLSTM layers over word states."""

    kind: Literal["bilstm"]
    layers: int = Field(default=1, ge=1)
    width: int = Field(default=200, ge=2, multiple_of=2, description="both directions together")
    dropout: Probability = 0.33


class HardSharingSpec(Spec):
    """All tasks read the same features (Caruana 1997); without a tower these are the encoder's word states."""

    kind: Literal["hard"]
    tower: BiLSTMTowerSpec | None = None


class IndependentSpec(Spec):
    """Each task has a tower of its own; only the encoder is shared."""

    kind: Literal["independent"]
    tower: BiLSTMTowerSpec


SharingSpec = Annotated[HardSharingSpec | IndependentSpec, Field(discriminator="kind")]
