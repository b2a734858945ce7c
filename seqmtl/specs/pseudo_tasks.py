"""Pseudo-task augmentation: one task trained through several decoders at once."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqmtl.specs.base import Spec


class DecodersSpec(Spec):
    """The parallel decoders of one task, as a checkpoint knows them."""

    count: int = Field(ge=1)
    own_dropout: bool = False
    best: int = Field(default=0, ge=0, description="the one that predicts")

    @model_validator(mode="after")
    def _best_is_one_of_them(self) -> "DecodersSpec":
        if self.best >= self.count:
            raise ValueError(f"best is {self.best}, but the {self.count} decoders count from 0")
        return self


class PseudoTasksSpec(Spec):
    """Pseudo-task augmentation (Meyerson and Miikkulainen 2018), for any head; METHODS.md section 4.

    Each task is trained through ``decoders`` decoders. They always start apart (I). ``init`` may add ``freeze`` (F: all
    but the first stay as they are) and ``dropout`` (D: each has its own masks and its own rate). Every ``every`` steps
    all are scored on control rows, and ``update`` says what happens then, in this order whatever the order of the list:
    ``greedy`` (G: all become the best one), ``perturb`` (P: noise on all but the first), ``hyperperturb`` (H: noise on
    the dropout rates of all but the best). The sizes of the noise are ours: those of the paper were not at hand. The
    method is the subject of US patent 12,033,079 B2; it is off by default.
    """

    decoders: int = Field(ge=1, description="of each task; 1: the base system on the rows that several would have")
    init: tuple[Literal["independent", "freeze", "dropout"], ...] = Field(
        default=("independent",), description="how decoders differ from the start; independent is always on"
    )
    update: tuple[Literal["greedy", "perturb", "hyperperturb"], ...] = ()
    every: int = Field(default=250, ge=1, description="optimiser steps of a meta-iteration")
    epsilon_p: float = Field(
        default=0.1, gt=0.0, description="perturb: standard deviation of the noise, in those of the parameter"
    )
    epsilon_h: float = Field(
        default=0.1, gt=0.0, description="hyperperturb: standard deviation of the noise on dropout rates"
    )
    control: Literal["dev"] | Annotated[float, Field(gt=0.0, le=0.5)] = Field(
        default=0.1, description="score decoders on this share of the training rows, set aside; or on dev, as the paper"
    )
    tasks: tuple[str, ...] | None = Field(default=None, min_length=1, description="which tasks; null: all")
    keep_decoders: bool = Field(default=False, description="keep all decoders in the checkpoint, not only the best")

    @model_validator(mode="after")
    def _decoders_can_differ(self) -> "PseudoTasksSpec":
        extras = [name for name in (*self.init, *self.update) if name != "independent"]
        if self.decoders == 1 and extras:
            raise ValueError(f"one decoder has no others for {', '.join(extras)}; give 'decoders' at least 2")
        if "hyperperturb" in self.update and "dropout" not in self.init:
            raise ValueError("'hyperperturb' changes each decoder's own dropout rate; add 'dropout' to 'init'")
        if "greedy" in self.update and "perturb" not in self.update and "dropout" not in self.init:
            raise ValueError(
                "'greedy' makes all decoders equal, and nothing would make them differ again; add 'perturb' to "
                "'update' or 'dropout' to 'init'"
            )
        return self

    def chosen(self, tasks: Sequence[str]) -> list[str]:
        """Which of ``tasks`` have so many decoders."""
        return [task for task in tasks if self.tasks is None or task in self.tasks]

    def decoder_specs(self, tasks: Sequence[str]) -> dict[str, DecodersSpec]:
        """The decoders of those ``tasks`` that have several."""
        spec = DecodersSpec(count=self.decoders, own_dropout="dropout" in self.init)
        return dict.fromkeys(self.chosen(tasks) if self.decoders > 1 else (), spec)
