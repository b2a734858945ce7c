"""How corpora are mixed and cut into batches."""

from typing import Annotated, Literal

from pydantic import Field

from seqmtl.specs.base import Spec


class ProportionalSpec(Spec):
    """Every row of every corpus once per epoch."""

    kind: Literal["proportional"] = "proportional"


class UniformSpec(Spec):
    """Each corpus the same number of rows: the largest once, smaller ones cycled."""

    kind: Literal["uniform"]


class SqrtSpec(Spec):
    """Corpora in proportion to the square root of their size."""

    kind: Literal["sqrt"]


class TemperatureSpec(Spec):
    """Corpora in proportion to ``size ** (1 / temperature)``."""

    kind: Literal["temperature"]
    temperature: float = Field(default=2.0, gt=0.0)


class AnnealedSpec(Spec):
    """Corpora in proportion to ``size ** alpha``, alpha falling linearly from ``start`` to ``end`` over the epochs.

    Annealed sampling of Stickland and Murray (2019).
    """

    kind: Literal["annealed"]
    start: float = Field(default=1.0, ge=0.0)
    end: float = Field(default=0.2, ge=0.0)


class WeightsSpec(Spec):
    """Corpora in proportion to the weights given by hand."""

    kind: Literal["weights"]
    weights: dict[str, Annotated[float, Field(ge=0.0)]]


RatesSpec = Annotated[
    ProportionalSpec | UniformSpec | SqrtSpec | TemperatureSpec | AnnealedSpec | WeightsSpec,
    Field(discriminator="kind"),
]


class MixtureSpec(Spec):
    """One batch holds rows of any corpora; batches are cut by a budget of tokens, padding included.

    A token is what the encoder reads: a sub-word of a transformer (special ones too), a word of a BiLSTM.
    """

    rates: RatesSpec = ProportionalSpec()
    schedule: Literal["interleaved", "sequential"] = Field(
        default="interleaved",
        description="all tasks together, or in each epoch one after the other, each with all drawn rows that carry it",
    )
    tokens_per_batch: int = Field(default=768, ge=1, description="longest sentence times sentences, at most")
    max_sentences: int = Field(default=256, ge=1)
    rows_per_epoch: int | None = Field(default=None, ge=1, description="null: the largest corpus once at its rate")
