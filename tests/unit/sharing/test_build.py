"""Specs to sharing schemes."""

from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, HardSharingSpec, IndependentSpec

TOWER = BiLSTMTowerSpec(kind="bilstm", layers=2, width=6, dropout=0.2)


def test_hard_sharing_without_and_with_a_tower():
    plain = build_sharing(HardSharingSpec(kind="hard"), ground=Ground(4), tasks=("a", "b"))
    assert isinstance(plain, HardSharing)
    assert (plain.tower, plain.out_features) == (None, 4)
    towered = build_sharing(HardSharingSpec(kind="hard", tower=TOWER), ground=Ground(4), tasks=("a", "b"))
    assert isinstance(towered, HardSharing)
    assert towered.tower is not None
    assert (towered.out_features, len(towered.tower.layers), towered.tower.dropout.probability) == (6, 2, 0.2)


def test_hard_sharing_has_as_many_parameters_for_one_task_as_for_five():
    spec = HardSharingSpec(kind="hard", tower=TOWER)
    schemes = [build_sharing(spec, ground=Ground(4), tasks=tasks) for tasks in ("a", "abcde")]
    sizes = [sum(p.numel() for p in scheme.parameters()) for scheme in schemes]
    assert sizes[0] == sizes[1] > 0


def test_independent_sharing_has_a_tower_per_task():
    sharing = build_sharing(IndependentSpec(kind="independent", tower=TOWER), ground=Ground(4), tasks=("a", "b"))
    assert isinstance(sharing, Independent)
    assert list(sharing.towers) == ["a", "b"]
    assert sharing.out_features == 6
