"""Specs to sharing schemes."""

from collections.abc import Sequence
from typing import assert_never

from seqmtl.errors import ConfigError
from seqmtl.layers.mixing import Alpha, Beta, ChannelAlpha
from seqmtl.sharing import cross_stitch, sluice
from seqmtl.sharing.base import Sharing
from seqmtl.sharing.cross_stitch import CrossStitch
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.pruning import all_reads, kept_entries
from seqmtl.sharing.sluice import Sluice
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import CrossStitchSpec, HardSharingSpec, IndependentSpec, SharingSpec, SluiceSpec


def build_sharing(spec: SharingSpec, *, ground: Ground, tasks: Sequence[str]) -> Sharing:
    """The scheme that ``spec`` describes, for ``tasks``, on ``ground``.

    Raises:
        ConfigError: when the scheme fits neither the tasks nor the encoder.
    """
    match spec:
        case HardSharingSpec():
            tower = None if spec.tower is None else ground.tower(spec.tower)
            return HardSharing(ground.in_features, tower=tower)
        case IndependentSpec():
            return Independent({task: ground.tower(spec.tower) for task in tasks})
        case CrossStitchSpec():
            return build_cross_stitch(spec, {task: ground.tower(spec.tower) for task in tasks})
        case SluiceSpec():
            return build_sluice(spec, {task: ground.tower(spec.tower) for task in tasks})
        case _:
            assert_never(spec)


def build_cross_stitch(spec: CrossStitchSpec, towers: dict[str, Tower]) -> CrossStitch:
    """Cross-stitch over ``towers``."""
    first, n_tasks = next(iter(towers.values())), len(towers)
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
