"""A coupling as JSON, and as the start of another scheme."""

import json

import pytest
import torch

from seqmtl.errors import ConfigError, DataError
from seqmtl.sharing.base import Coupling, Table
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.coupling import coupling_from_json, coupling_to_json, layer_tables, read_coupling
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import BiLSTMTowerSpec, CrossStitchSpec, SluiceSpec

TASKS = ("a", "b")


def tower(layers=2):
    return BiLSTMTowerSpec(kind="bilstm", layers=layers, width=4, dropout=0.0)


def cross_stitch(tasks=TASKS, layers=2, **spec):
    spec = CrossStitchSpec(kind="cross_stitch", tower=tower(layers), **spec)
    return build_sharing(spec, ground=Ground(3), tasks=tasks)


def sluice(tasks=TASKS, layers=2, **spec):
    return build_sharing(SluiceSpec(kind="sluice", tower=tower(layers), **spec), ground=Ground(3), tasks=tasks)


def learned(sharing):
    """The coupling of a scheme after its alphas and betas went somewhere, as JSON makes it."""
    with torch.no_grad():
        for name, parameter in sharing.named_parameters():
            if "mixers" in name or "betas" in name:
                parameter.copy_(torch.rand_like(parameter) + 0.1)
    return coupling_from_json(json.loads(json.dumps(coupling_to_json(sharing.coupling()))))


def same(ours, theirs):
    return ours.tables.keys() == theirs.tables.keys() and all(
        (tuple(table.rows), tuple(table.columns))
        == (tuple(theirs.tables[name].rows), tuple(theirs.tables[name].columns))
        and torch.equal(table.values, theirs.tables[name].values)
        for name, table in ours.tables.items()
    )


def test_a_coupling_comes_back_bit_for_bit_from_short_decimals():
    values = torch.tensor([[0.9, 0.1 / 3], [-1e-9, 12345.678]])
    coupling = Coupling({"alpha 1": Table(["a", "b"], ["a", "b"], values.requires_grad_())})
    text = json.dumps(coupling_to_json(coupling))
    assert '"values": [[0.9, 0.033333335], [-1e-09, 12345.678]]' in text
    assert same(coupling_from_json(json.loads(text)), coupling)


@pytest.mark.parametrize(
    "broken",
    [
        [],
        {"alpha 1": 3},
        {"alpha 1": {"rows": ["a"], "columns": ["a"]}},
        {"alpha 1": {"rows": ["a"], "columns": ["a"], "values": [[1.0, 2.0]]}},
        {"alpha 1": {"rows": ["a"], "columns": ["a"], "values": [["x"]]}},
        {"alpha 1": {"rows": ["a"], "columns": ["a"], "values": [[1.0], []]}},
    ],
)
def test_what_is_no_coupling_is_refused(broken):
    with pytest.raises(DataError, match="this is not a coupling"):
        coupling_from_json(broken)


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"[1]", b"{}", b'{"tables": {"alpha 1": 3}}'])
def test_a_file_without_a_coupling_is_an_error_of_the_recipe(tmp_path, content):
    path = tmp_path / "alpha.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"sharing\.alpha_from: {path}: .*seqmtl inspect RUN --json"):
        read_coupling(path)


def test_the_tables_of_a_kind_are_those_of_its_layers():
    coupling = sluice(layers=3).coupling()
    assert len(layer_tables(coupling, "alpha")) == 3
    assert len(layer_tables(coupling, "beta")) == 1


@pytest.mark.parametrize("build", [cross_stitch, sluice])
def test_alpha_and_beta_start_where_another_scheme_ended(build):
    found, fresh = learned(build()), build()
    assert not same(fresh.coupling(), found)
    fresh.start_mixing(found, source="x.json")
    assert same(fresh.coupling(), found)


@pytest.mark.parametrize("normalisation", ["softmax", "l1"])
def test_normalised_rows_start_normalised(normalisation):
    found, fresh = learned(sluice()), sluice(normalisation=normalisation)
    fresh.start_mixing(found, source="x.json")
    alpha = found.tables["alpha 2"].values
    expected = torch.stack([row / row.sum() for row in alpha])
    torch.testing.assert_close(fresh.coupling().tables["alpha 2"].values, expected)


def test_every_feature_starts_at_the_one_matrix():
    found, fresh = learned(cross_stitch()), cross_stitch(granularity="channel")
    fresh.start_mixing(found, source="x.json")
    first, second = (table.values for table in layer_tables(found, "alpha"))
    for mixer, expected in zip(fresh.lockstep.mixers, (first, second), strict=True):
        assert mixer.weight.shape == (2, 2, 4)
        assert all(torch.equal(mixer.weight[..., feature], expected) for feature in range(4))


def test_tasks_are_matched_by_name():
    found, fresh = learned(sluice(("a", "b"))), sluice(("b", "a"))
    fresh.start_mixing(found, source="x.json")
    theirs, ours = found.tables["alpha 1"], fresh.coupling().tables["alpha 1"]
    assert list(ours.rows) == ["b.1", "b.2", "a.1", "a.2"]
    swap = torch.tensor([2, 3, 0, 1])
    assert torch.equal(ours.values, theirs.values[swap][:, swap])
    assert torch.equal(fresh.coupling().tables["beta"].values, found.tables["beta"].values[[1, 0]])


def test_a_sluice_with_one_subspace_and_a_cross_stitch_start_each_other():
    fresh = sluice(subspaces=1)
    beta = fresh.coupling().tables["beta"].values.clone()
    found = learned(cross_stitch())
    fresh.start_mixing(found, source="x.json")
    assert torch.equal(fresh.coupling().tables["alpha 1"].values, found.tables["alpha 1"].values)
    assert torch.equal(fresh.coupling().tables["beta"].values, beta)  # a cross-stitch has none
    fresh, found = cross_stitch(), learned(sluice(subspaces=1))
    fresh.start_mixing(found, source="x.json")
    assert torch.equal(fresh.coupling().tables["alpha 2"].values, found.tables["alpha 2"].values)


@pytest.mark.parametrize(
    ("other", "theirs"),
    [
        (lambda: sluice(("a", "c")), "alphas of 2 layer(s) between a.1, a.2, c.1, c.2"),
        (lambda: sluice(("a", "b", "c")), "alphas of 2 layer(s) between a.1, a.2, b.1, b.2, c.1, c.2"),
        (lambda: sluice(subspaces=1), "alphas of 2 layer(s) between a, b"),
        (lambda: sluice(layers=3), "alphas of 3 layer(s) between a.1, a.2, b.1, b.2"),
    ],
)
def test_other_tasks_subspaces_or_layers_are_refused_and_both_sides_shown(other, theirs):
    fresh = sluice()
    before = coupling_to_json(fresh.coupling())
    with pytest.raises(ConfigError) as caught:
        fresh.start_mixing(learned(other()), source="x.json")
    assert f"sharing.alpha_from: x.json holds {theirs}" in str(caught.value)
    assert "this recipe has alphas of 2 layer(s) between a.1, a.2, b.1, b.2" in str(caught.value)
    assert coupling_to_json(fresh.coupling()) == before


def test_a_coupling_without_alphas_is_refused():
    with pytest.raises(ConfigError, match=r"holds alphas of 0 layer\(s\) between nothing"):
        cross_stitch().start_mixing(Coupling({}), source="x.json")


def test_a_table_that_lacks_a_name_is_refused():
    found = learned(sluice())
    beta = found.tables["beta"]
    cut = Coupling({**found.tables, "beta": Table(beta.rows, beta.columns[:1], beta.values[:, :1])})
    with pytest.raises(ConfigError, match=r"a table of a, b by layer 1; this recipe's is of a, b by layer 1, layer 2"):
        sluice().start_mixing(cut, source="x.json")


@pytest.mark.parametrize(
    ("value", "normalisation", "message"),
    [
        (0.0, "softmax", "has 0, but a softmax is never 0 or below"),
        (-0.5, "softmax", "has -0.5, but a softmax"),
        (0.0, "l1", "has a row of zeros"),
        (float("nan"), "none", "has a number that is not finite"),
    ],
)
def test_numbers_at_which_alpha_cannot_start_are_refused(value, normalisation, message):
    found = learned(sluice())
    found.tables["alpha 1"].values[0] = value
    with pytest.raises(ConfigError, match=rf"sharing\.alpha_from: x\.json {message}"):
        sluice(normalisation=normalisation).start_mixing(found, source="x.json")
