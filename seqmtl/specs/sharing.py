"""How the tasks share what lies between the encoder and the heads."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator

from seqmtl.specs.base import Spec
from seqmtl.specs.encoders import Probability


class BiLSTMTowerSpec(Spec):
    """A stack of BiLSTM layers over word states."""

    kind: Literal["bilstm"]
    layers: int = Field(default=1, ge=1)
    width: int = Field(default=200, ge=2, multiple_of=2, description="both directions together")
    dropout: Probability = 0.33


class TransformerTowerSpec(Spec):
    """A copy of the top blocks of the pretrained encoder, whose lower blocks all towers share."""

    kind: Literal["transformer"]
    layers: int = Field(default=2, ge=1, description="blocks of the encoder that belong to the towers")


TowerSpec = Annotated[BiLSTMTowerSpec | TransformerTowerSpec, Field(discriminator="kind")]


class HardSharingSpec(Spec):
    """All tasks read the same features (Caruana 1997); without a tower these are the encoder's word states."""

    kind: Literal["hard"]
    tower: BiLSTMTowerSpec | None = None
    layer_attention: bool = Field(
        default=False,
        description="each task mixes the layers of the encoder for itself (Kondratyuk and Straka 2019)",
    )

    @model_validator(mode="after")
    def _a_tower_reads_one_mixture(self) -> "HardSharingSpec":
        if self.layer_attention and self.tower is not None:
            raise ValueError("a tower reads the same states for all tasks; leave out 'tower' or 'layer_attention'")
        return self


class IndependentSpec(Spec):
    """Each task has a tower of its own; only the encoder is shared."""

    kind: Literal["independent"]
    tower: TowerSpec


# What a pruned scheme still reads: per layer, a matrix of 0 and 1, rows = targets, columns = sources.
Connections = tuple[tuple[tuple[Literal[0, 1], ...], ...], ...]


class CrossStitchSpec(Spec):
    """Towers whose states are mixed after each layer by a learned matrix (Misra et al. 2016)."""

    kind: Literal["cross_stitch"]
    tower: TowerSpec
    granularity: Literal["scalar", "channel"] = Field(
        default="scalar", description="one matrix per layer, or one for each unit of it"
    )
    same_task: float = Field(
        default=0.9, ge=0.0, le=1.0, description="initial weight of a task's own state; the others share the rest"
    )
    alpha_from: str | None = Field(
        default=None, description="start alpha at the numbers that `seqmtl inspect RUN --json FILE` wrote here"
    )
    connections: Connections | None = Field(default=None, description="written by prune_sharing; null: all")


class SluiceSpec(Spec):
    """Towers whose subspaces are mixed after each layer, and whose layers are mixed at the end (Ruder et al. 2019)."""

    kind: Literal["sluice"]
    tower: TowerSpec
    subspaces: int = Field(default=2, ge=1, description="S; of a BiLSTM, each direction is split")
    alpha: Literal["balanced", "imbalanced", "identity", "own_subspace", "paper"] = Field(
        default="own_subspace", description="how alpha starts"
    )
    normalisation: Literal["none", "softmax", "l1"] = Field(default="none", description="of each row of alpha")
    beta: Literal["last", "biased", "uniform", "ones"] = Field(
        default="biased", description="how beta starts: all or 0.9 on the last layer, equal shares, or plain skips"
    )
    orthogonality: float = Field(default=0.1, ge=0.0, description="weight of the penalty between subspaces")
    orthogonality_form: Literal["unit", "column"] = Field(
        default="unit", description="between the weight vectors of units, or the columns of the public code"
    )
    alpha_from: str | None = Field(
        default=None, description="start alpha and beta at the numbers that `seqmtl inspect RUN --json FILE` wrote here"
    )
    connections: Connections | None = Field(default=None, description="written by prune_sharing; null: all")

    @model_validator(mode="after")
    def _softmax_is_positive(self) -> "SluiceSpec":
        if self.normalisation == "softmax" and self.alpha == "identity":
            raise ValueError("a softmax never gives 0, so alpha cannot start at 'identity'; start at 'own_subspace'")
        return self


class SoftSpec(Spec):
    """Each task has a tower of its own, and a penalty keeps the towers alike (Duong et al. 2015)."""

    kind: Literal["soft"]
    tower: TowerSpec
    form: Literal["pairwise", "mean"] = Field(
        default="pairwise", description="squared distance of each two towers, or of each tower to their mean"
    )
    weight: float = Field(default=1e-4, ge=0.0, description="lambda of the penalty")
    layers: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, min_length=1, description="layers of the towers that are kept alike, 1 the lowest; null: all"
    )


class HierarchicalSpec(Spec):
    """One tower, whose layers supervise different tasks: low supervision (Soegaard and Goldberg 2016)."""

    kind: Literal["hierarchical"]
    tower: TowerSpec
    depths: dict[str, Annotated[int, Field(ge=1)]] = Field(
        description="the layer that each task reads, 1 the lowest; layers above the deepest are dropped"
    )


class BranchingSpec(Spec):
    """A tree of layers that is given by hand: tasks share a layer within a group."""

    kind: Literal["branching"]
    tower: TowerSpec
    tree: tuple[tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...], ...] = Field(
        description="for each layer, lowest first, the tasks in groups, each within a group of the layer below"
    )


class ConditioningSpec(Spec):
    """One network for all tasks, which a learned vector tells the task (FiLM: Perez et al. 2018)."""

    kind: Literal["conditioning"]
    form: Literal["concat", "multiplicative", "film"] = Field(
        default="film", description="the vector beside the features, gates on them, or a scale and a shift"
    )
    gate: Literal["sigmoid", "linear"] = Field(default="sigmoid", description="of the form 'multiplicative'")
    task_size: int = Field(default=32, ge=1, description="of a task's vector")
    tower: BiLSTMTowerSpec | None = Field(
        default=None, description="reads the conditioned states; null: the heads read them"
    )


class MetaLSTMSpec(Spec):
    """LSTMs of the tasks, whose weights one Meta-LSTM generates word by word (Chen et al. 2018)."""

    kind: Literal["meta_lstm"]
    layers: int = Field(default=1, ge=1)
    width: int = Field(default=200, ge=2, multiple_of=2, description="of a task's LSTMs, both directions together")
    meta_size: int = Field(default=40, ge=1, description="m, size of the Meta-LSTM in each direction")
    vector_size: int = Field(default=40, ge=1, description="z, of the vector that generates weights; with project_z")
    project_z: bool = Field(
        default=True, description="the paper's W_z; false: the Meta-LSTM's state is the vector, as in the public code"
    )
    z_offset: bool = Field(default=False, description="add 1 to the vector, so that tasks start near ordinary LSTMs")
    share_directions: bool = Field(default=False, description="one Meta-LSTM for both directions")
    dropout: Probability = 0.33


class MetaLoRASpec(Spec):
    """Top blocks of the encoder with updates of the tasks that a shared network scales at each piece (ours)."""

    kind: Literal["meta_lora"]
    tower: TransformerTowerSpec = TransformerTowerSpec(kind="transformer")
    rank: int = Field(default=16, ge=1, description="of a task's update of the feed-forward part of a block")
    meta_size: int = Field(default=64, ge=1, description="hidden units of the network that scales the updates")


class AdversarySpec(Spec):
    """A discriminator of tasks, which the shared features must give no chance (Liu et al. 2017)."""

    weight: float = Field(default=0.05, gt=0.0, description="lambda, on the reversed gradient")


class OrthogonalitySpec(Spec):
    """A penalty on private features that repeat the shared ones (Bousmalis et al. 2016, Liu et al. 2017)."""

    weight: float = Field(default=0.01, gt=0.0, description="gamma")
    normalise: bool = Field(
        default=True,
        description="centre features and make them of length 1, then take the mean; false: the paper's sum",
    )


class SharedPrivateSpec(Spec):
    """A tower for all tasks and one for each (Liu et al. 2017, Bousmalis et al. 2016)."""

    kind: Literal["shared_private"]
    structure: Literal["parallel", "stacked"] = Field(
        default="parallel",
        description="heads read both towers, or the private one, which reads the shared one",
    )
    shared: TowerSpec
    private: TowerSpec
    private_input: Literal["concat", "shared_only"] = Field(
        default="concat",
        description="of stacked private towers: the encoder's states and the shared features, or the latter alone",
    )
    adversary: AdversarySpec | None = Field(default=None, description="for corpora with different layers")
    orthogonality: OrthogonalitySpec | None = None
    reconstruction: float = Field(
        default=0.0, ge=0.0, description="weight of a decoder from both features to the encoder's states; 0: none"
    )

    @model_validator(mode="after")
    def _private_towers_fit_the_structure(self) -> "SharedPrivateSpec":
        if self.structure == "parallel" and self.private_input != "concat":
            raise ValueError(
                f"private_input {self.private_input!r} is for structure 'stacked'; leave it out: parallel towers read "
                "what the shared one reads"
            )
        if self.structure == "stacked" and self.private.kind != "bilstm":
            raise ValueError(
                f"private: kind {self.private.kind!r} reads the encoder's own states, and stacked private towers read "
                "the shared features; use kind 'bilstm', or structure 'parallel'"
            )
        return self


class SuccessiveRegularisationSpec(Spec):
    """``delta * |theta - theta'|^2`` keeps a task near what the task before left in this epoch.

    The defaults are the paper's, whose losses are sums; beside means over words much smaller values hold as hard.
    """

    delta: float = Field(default=1e-3, ge=0.0)
    classifier_delta: float = Field(default=1e-2, ge=0.0, description="of the heads of lower tasks")


class JMTSpec(Spec):
    """A BiLSTM layer per task on top of the other, with the lower tasks' predictions (Hashimoto et al. 2017)."""

    kind: Literal["jmt"]
    tower: BiLSTMTowerSpec = Field(description="of each task, on top of the one below")
    order: tuple[str, ...] | None = Field(default=None, description="tasks, lowest first; null: as the recipe has them")
    label_dim: int = Field(default=100, ge=1, description="size of a label embedding")
    detach_label_embeddings: bool = Field(
        default=False, description="higher tasks do not train the heads and layers of lower ones through predictions"
    )
    successive_regularisation: SuccessiveRegularisationSpec | None = Field(
        default=None, description="{} for the paper's; needs mixture.schedule 'sequential'; null: none"
    )


SharingSpec = Annotated[
    HardSharingSpec
    | IndependentSpec
    | SoftSpec
    | HierarchicalSpec
    | JMTSpec
    | CrossStitchSpec
    | SluiceSpec
    | SharedPrivateSpec
    | BranchingSpec
    | ConditioningSpec
    | MetaLSTMSpec
    | MetaLoRASpec,
    Field(discriminator="kind"),
]


def transformer_towers(spec: Spec) -> Iterator[tuple[str, TransformerTowerSpec]]:
    """The towers of transformer blocks that a scheme asks for, each with its key."""
    for key in type(spec).model_fields:
        value = getattr(spec, key)
        if isinstance(value, TransformerTowerSpec):
            yield key, value
