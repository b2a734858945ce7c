"""Specs to sharing schemes."""

from collections import Counter
from collections.abc import Sequence
from typing import assert_never

import torch
from torch import nn

from seqmtl.errors import ConfigError, nearest
from seqmtl.layers.conditioning import Concatenation, FiLM, Gate
from seqmtl.layers.low_rank import ScaledLowRank, ScaleNetwork
from seqmtl.layers.meta_lstm import BasicCell, MetaCell
from seqmtl.layers.mixing import Alpha, Beta, ChannelAlpha
from seqmtl.sharing import cross_stitch, sluice
from seqmtl.sharing.adversary import TaskAdversary
from seqmtl.sharing.base import Sharing
from seqmtl.sharing.branching import Branching, check_tree
from seqmtl.sharing.conditioning import Conditioning
from seqmtl.sharing.cross_stitch import CrossStitch
from seqmtl.sharing.domain_separation import Reconstruction
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.hierarchical import Hierarchical, check_depths
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.jmt import JointManyTask, LabelEmbedding, stacked_sizes
from seqmtl.sharing.layer_attention import LayerAttention
from seqmtl.sharing.meta_lora import MetaLoRA
from seqmtl.sharing.meta_lstm import MetaLayer, MetaLSTM
from seqmtl.sharing.pruning import all_reads, kept_entries
from seqmtl.sharing.shared_private import Separation, SharedPrivate
from seqmtl.sharing.sluice import Sluice
from seqmtl.sharing.soft import Soft
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.bilstm import BiLSTMTower
from seqmtl.sharing.towers.build import Ground
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.sharing import (
    BranchingSpec,
    ConditioningSpec,
    CrossStitchSpec,
    HardSharingSpec,
    HierarchicalSpec,
    IndependentSpec,
    JMTSpec,
    MetaLoRASpec,
    MetaLSTMSpec,
    SharedPrivateSpec,
    SharingSpec,
    SluiceSpec,
    SoftSpec,
)

# Where numbers are that must be known although a model is loaded on the meta device: what its file lacks starts there.
REAL = torch.device("cpu")


def build_sharing(spec: SharingSpec, *, ground: Ground, tasks: Sequence[str]) -> Sharing:
    """The scheme that ``spec`` describes, for ``tasks``, on ``ground``.

    Raises:
        ConfigError: when the scheme fits neither the tasks nor the encoder.
    """
    match spec:
        case HardSharingSpec(layer_attention=True):
            return LayerAttention(ground.in_features, tasks=tasks, layers=ground.layers)
        case HardSharingSpec():
            tower = None if spec.tower is None else ground.tower(spec.tower)
            return HardSharing(ground.in_features, tower=tower)
        case IndependentSpec():
            return Independent({task: ground.tower(spec.tower) for task in tasks})
        case CrossStitchSpec():
            return build_cross_stitch(spec, {task: ground.tower(spec.tower) for task in tasks})
        case SluiceSpec():
            return build_sluice(spec, {task: ground.tower(spec.tower) for task in tasks})
        case JMTSpec():
            return build_jmt(spec, ground=ground, tasks=tasks)
        case SoftSpec():
            return build_soft(spec, {task: ground.tower(spec.tower) for task in tasks})
        case HierarchicalSpec():
            check_depths(spec.depths, tasks=tasks, layers=spec.tower.layers)
            return Hierarchical(ground.tower(spec.tower), depths=spec.depths)
        case BranchingSpec():
            check_tree(spec.tree, tasks=tasks, layers=spec.tower.layers)
            return Branching({group[0]: ground.tower(spec.tower) for group in spec.tree[-1]}, tree=spec.tree)
        case ConditioningSpec():
            return build_conditioning(spec, ground=ground, tasks=tasks)
        case SharedPrivateSpec():
            return build_shared_private(spec, ground=ground, tasks=tasks)
        case MetaLSTMSpec():
            return build_meta_lstm(spec, in_features=ground.in_features, tasks=tasks)
        case MetaLoRASpec():
            return build_meta_lora(spec, ground=ground, tasks=tasks)
        case _:
            assert_never(spec)


def build_cross_stitch(spec: CrossStitchSpec, towers: dict[str, Tower]) -> CrossStitch:
    """Cross-stitch over ``towers``."""
    first, n_tasks = next(iter(towers.values())), len(towers)
    with REAL:
        initial = cross_stitch.initial_alpha(n_tasks, same_task=spec.same_task)
    kept = kept_entries(spec.connections, layers=first.depth, size=n_tasks)
    mixers: list[Alpha | ChannelAlpha]
    if spec.granularity == "scalar":
        mixers = [Alpha(initial, subspaces=1, directions=1, normalisation="none", kept=part) for part in kept]
    else:
        mixers = [ChannelAlpha(initial, features=first.out_features, kept=part) for part in kept]
    return CrossStitch(towers, mixers, reads=[all_reads(part, towers=n_tasks) for part in kept])


def build_sluice(spec: SluiceSpec, towers: dict[str, Tower]) -> Sluice:
    """Sluice network over ``towers``."""
    first, n_tasks = next(iter(towers.values())), len(towers)
    check_subspaces(spec.subspaces, first)
    with REAL:
        initial = sluice.initial_alpha(n_tasks, subspaces=spec.subspaces, pattern=spec.alpha)
        beta = sluice.initial_beta(first.depth, pattern=spec.beta)
    kept = kept_entries(spec.connections, layers=first.depth, size=n_tasks * spec.subspaces)
    alphas = [
        Alpha(
            initial,
            subspaces=spec.subspaces,
            directions=first.directions,
            normalisation=spec.normalisation,
            kept=part,
        )
        for part in kept
    ]
    return Sluice(
        towers,
        alphas,
        {task: Beta(beta) for task in towers},
        reads=[all_reads(part, towers=n_tasks) for part in kept],
        orthogonality=spec.orthogonality,
        form=spec.orthogonality_form,
    )


def build_soft(spec: SoftSpec, towers: dict[str, Tower]) -> Soft:
    """Soft sharing over ``towers``.

    Raises:
        ConfigError: when a layer to be tied is beyond them.
    """
    depth = next(iter(towers.values())).depth
    layers = spec.layers or range(1, depth + 1)
    if max(layers) > depth:
        raise ConfigError(
            f"sharing.layers: got {max(layers)}, but the towers have {depth} layers; allowed: 1 to {depth}"
        )
    tied = sorted({layer - 1 for layer in layers})
    return Soft(towers, form=spec.form, weight=spec.weight, layers=tied)


def build_conditioning(spec: ConditioningSpec, *, ground: Ground, tasks: Sequence[str]) -> Conditioning:
    """Conditioning of a tower on ``ground``, or of the ground itself."""
    form = conditioning_form(spec, features=ground.in_features)
    tower = None if spec.tower is None else ground.tower(spec.tower, in_features=form.out_features)
    return Conditioning(form, tasks=tasks, task_size=spec.task_size, tower=tower)


def conditioning_form(spec: ConditioningSpec, *, features: int) -> Concatenation | Gate | FiLM:
    """How a task's vector and states of ``features`` are joined."""
    match spec.form, spec.gate:
        case "concat", _:
            return Concatenation(features, task_size=spec.task_size)
        case "film", _:
            return FiLM(features, task_size=spec.task_size)
        case "multiplicative", "sigmoid":
            return Gate(features, task_size=spec.task_size, squash=nn.Sigmoid(), start=0.0)
        case "multiplicative", "linear":
            return Gate(features, task_size=spec.task_size, squash=nn.Identity(), start=1.0)


def build_shared_private(spec: SharedPrivateSpec, *, ground: Ground, tasks: Sequence[str]) -> SharedPrivate:
    """A shared tower, a private one for each of ``tasks``, and what is to separate them."""
    shared = ground.tower(spec.shared)
    private_input = "states" if spec.structure == "parallel" else spec.private_input
    sizes = {
        "states": ground.in_features,
        "concat": ground.in_features + shared.out_features,
        "shared_only": shared.out_features,
    }
    private = {task: ground.tower(spec.private, in_features=sizes[private_input]) for task in tasks}
    separation = build_separation(spec, ground=ground, tasks=tasks, shared=shared, private=private[tasks[0]])
    return SharedPrivate(shared, private, private_input=private_input, separation=separation)


def build_separation(
    spec: SharedPrivateSpec, *, ground: Ground, tasks: Sequence[str], shared: Tower, private: Tower
) -> Separation:
    """What is to separate the features of ``shared`` from those of towers like ``private``.

    Raises:
        ConfigError: when there is but one task for the adversary, or the features cannot be added for the decoder.
    """
    width = shared.out_features
    if spec.adversary is not None and len(tasks) == 1:
        raise ConfigError(
            f"sharing.adversary: it tells tasks apart, and there is one, {tasks[0]!r}; leave it out, or add a task"
        )
    if spec.reconstruction > 0.0 and width != private.out_features:
        raise ConfigError(
            f"sharing.reconstruction: the sum of shared and private features is decoded, and the shared tower has "
            f"{width}, a private one {private.out_features}; give both the same width"
        )
    return Separation(
        adversary=None if spec.adversary is None else TaskAdversary(width, tasks=tasks, weight=spec.adversary.weight),
        orthogonality=0.0 if spec.orthogonality is None else spec.orthogonality.weight,
        normalise=spec.orthogonality is None or spec.orthogonality.normalise,
        decoder=Reconstruction(width, ground.in_features) if spec.reconstruction > 0.0 else None,
        reconstruction=spec.reconstruction,
    )


def build_meta_lstm(spec: MetaLSTMSpec, *, in_features: int, tasks: Sequence[str]) -> MetaLSTM:
    """Layers of a Meta-LSTM and the tasks' basic cells."""
    hidden, offset = spec.width // 2, float(spec.z_offset)
    layers = []
    for size in [in_features, *[spec.width] * (spec.layers - 1)]:
        meta = MetaCell(
            size,
            directions=1 if spec.share_directions else 2,
            hidden=hidden,
            size=spec.meta_size,
            vector=spec.vector_size if spec.project_z else None,
        )
        basic = {
            task: BasicCell(
                size,
                directions=2,
                hidden=hidden,
                vector=meta.vector,
                vector_square=meta.vector_square(offset),
                offset=offset,
            )
            for task in tasks
        }
        layers.append(MetaLayer(meta, basic, z_offset=offset))
    return MetaLSTM(layers, out_features=spec.width, dropout=spec.dropout)


def build_meta_lora(spec: MetaLoRASpec, *, ground: Ground, tasks: Sequence[str]) -> MetaLoRA:
    """The top blocks, what scales updates in them, and the tasks' updates."""
    tower = ground.tower(spec.tower)
    assert isinstance(tower, TransformerTower)
    maps = [tower.output_map(number) for number in range(tower.depth)]
    return MetaLoRA(
        tower,
        [ScaleNetwork(tower.out_features, hidden=spec.meta_size, rank=spec.rank) for _ in maps],
        {task: [ScaledLowRank(one.in_features, one.out_features, rank=spec.rank) for one in maps] for task in tasks},
    )


def build_jmt(spec: JMTSpec, *, ground: Ground, tasks: Sequence[str]) -> JointManyTask:
    """Joint many-task model, a tower on top of the other."""
    order = tuple(tasks) if spec.order is None else spec.order
    check_order(order, tasks)
    labels = {
        task: LabelEmbedding(ground.word_labels[task], spec.label_dim)
        for task in order[:-1]
        if task in ground.word_labels
    }
    sizes = stacked_sizes(order, labels, word=ground.in_features, layer=spec.tower.width, label=spec.label_dim)
    towers = {
        task: BiLSTMTower(size, width=spec.tower.width, layers=spec.tower.layers, dropout=spec.tower.dropout)
        for task, size in sizes.items()
    }
    return JointManyTask(towers, labels, detach_label_embeddings=spec.detach_label_embeddings)


def check_order(order: Sequence[str], tasks: Sequence[str]) -> None:
    """Make sure that ``order`` names every task once.

    Raises:
        ConfigError: with the task that is unknown, there twice, or missing.
    """
    for name, count in Counter(order).items():
        if name not in tasks:
            raise ConfigError(f"sharing.order: no task {name!r}; {nearest(name, tasks)}")
        if count > 1:
            raise ConfigError(f"sharing.order: task {name!r} is there {count} times; name every task once")
    missing = [task for task in tasks if task not in order]
    if missing:
        raise ConfigError(
            f"sharing.order: {', '.join(order)} leaves out {', '.join(missing)}; name every task once, lowest first"
        )


def check_subspaces(subspaces: int, tower: Tower) -> None:
    """Make sure that the state of a tower falls into ``subspaces`` equal runs of whole attention heads.

    Raises:
        ConfigError: when it does not, with the numbers that would do.
    """
    units = tower.out_features // tower.directions // tower.indivisible
    if units % subspaces:
        allowed = ", ".join(str(number) for number in range(1, units + 1) if units % number == 0)
        what = f"{units} attention heads" if tower.indivisible > 1 else f"{units} units of each direction"
        raise ConfigError(f"sharing.subspaces: {subspaces} does not divide the {what} of a tower; allowed: {allowed}")
