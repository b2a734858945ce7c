"""Specs to sharing schemes."""

import pytest

from seqmtl.errors import ConfigError
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.independent import Independent
from seqmtl.sharing.shared_private import SharedPrivate
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.library import shipped
from seqmtl.specs.recipe import load_recipe
from seqmtl.specs.sharing import (
    AdversarySpec,
    BiLSTMTowerSpec,
    HardSharingSpec,
    IndependentSpec,
    OrthogonalitySpec,
    SharedPrivateSpec,
)

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


NARROW = BiLSTMTowerSpec(kind="bilstm", layers=1, width=6)


def shared_private(**keys) -> SharedPrivateSpec:
    return SharedPrivateSpec(kind="shared_private", shared=NARROW, private=keys.pop("private", NARROW), **keys)


def sizes_of(spec: SharedPrivateSpec, tasks: str) -> int:
    return sum(p.numel() for p in build_sharing(spec, ground=Ground(4), tasks=tuple(tasks)).parameters())


def test_shared_private_sizes_are_those_of_one_shared_tower_and_m_private_ones():
    def lstm(inputs: int, units: int = 3) -> int:
        return 4 * units * (inputs + units + 2)  # torch has two biases

    shared = 2 * lstm(4)
    assert sizes_of(shared_private(), "abc") == shared + 3 * 2 * lstm(4)
    assert sizes_of(shared_private(structure="stacked"), "abc") == shared + 3 * 2 * lstm(4 + 6)
    assert sizes_of(shared_private(structure="stacked", private_input="shared_only"), "abc") == shared + 3 * 2 * lstm(6)


def test_what_separates_is_built_with_its_weights():
    plain = build_sharing(shared_private(), ground=Ground(4), tasks=("a", "b"))
    assert isinstance(plain, SharedPrivate)
    assert not list(plain.separation.parameters())
    assert plain.separation.orthogonality == plain.separation.reconstruction == 0.0
    spec = shared_private(
        adversary=AdversarySpec(weight=0.2), orthogonality=OrthogonalitySpec(normalise=False), reconstruction=0.3
    )
    full = build_sharing(spec, ground=Ground(4), tasks=("a", "b"))
    assert isinstance(full, SharedPrivate)
    parts = full.separation
    assert parts.adversary is not None
    assert (parts.adversary.weight, parts.adversary.tasks) == (0.2, ("a", "b"))
    assert (parts.orthogonality, parts.normalise, parts.reconstruction) == (0.01, False, 0.3)
    # The discriminator is 6 x 2 with a bias, the decoder 6 x 6 and 6 x 4.
    assert sum(p.numel() for p in parts.parameters()) == (6 + 1) * 2 + (6 + 1) * 6 + (6 + 1) * 4


def test_an_adversary_needs_two_tasks():
    with pytest.raises(ConfigError, match=r"sharing\.adversary: .* there is one, 'a'; leave it out"):
        build_sharing(shared_private(adversary=AdversarySpec()), ground=Ground(4), tasks=("a",))


def test_a_decoder_needs_towers_of_one_width():
    wide = BiLSTMTowerSpec(kind="bilstm", width=8)
    with pytest.raises(ConfigError, match=r"sharing\.reconstruction: .* has 6, a private one 8; give both the same"):
        build_sharing(shared_private(private=wide, reconstruction=0.1), ground=Ground(4), tasks=("a", "b"))


@pytest.mark.parametrize("path", sorted(shipped("recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_sharing_of_every_shipped_recipe_fits_its_tasks(path, cut):
    recipe, _ = load_recipe(str(path))
    sharing = build_sharing(recipe.sharing, ground=cut.ground, tasks=tuple(recipe.tasks))
    assert all(sharing.serving([task]) or not list(sharing.parameters()) for task in recipe.tasks)
