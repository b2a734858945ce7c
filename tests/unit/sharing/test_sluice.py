"""Sluice networks: METHODS.md section 2.2, and what its table says they contain.

M towers, S subspaces, K layers, B sentences, T words, H features.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import BertConfig

from seqmtl.batch import WordStates
from seqmtl.encoders.backbone import build_backbone
from seqmtl.encoders.cut import cut
from seqmtl.errors import ConfigError
from seqmtl.layers.mixing import Alpha
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.cross_stitch import CrossStitch
from seqmtl.sharing.sluice import Sluice, initial_alpha, initial_beta, subspace_orthogonality
from seqmtl.sharing.towers.build import Ground
from seqmtl.specs.sharing import CrossStitchSpec, SluiceSpec, TransformerTowerSpec

TASKS = ("a", "b", "c")
MASK = torch.arange(5) < torch.tensor([5, 2])[:, None]
WIDTH, IN = 8, 6  # H, of both directions; D, of the encoder
PATTERNS = ["balanced", "imbalanced", "identity", "own_subspace", "paper"]


def tower(layers: int) -> dict[str, Any]:
    return {"kind": "bilstm", "layers": layers, "width": WIDTH, "dropout": 0.0}


def sluice(tasks: tuple[str, ...] = TASKS, layers: int = 2, **options: Any) -> Sluice:
    spec = SluiceSpec.parse({"kind": "sluice", "tower": tower(layers), **options}, source="test")
    made = build_sharing(spec, ground=Ground(IN), tasks=tasks)
    assert isinstance(made, Sluice)
    return made


def cross_stitch(tasks: tuple[str, ...] = TASKS, layers: int = 2) -> CrossStitch:
    spec = CrossStitchSpec.parse({"kind": "cross_stitch", "tower": tower(layers)}, source="test")
    made = build_sharing(spec, ground=Ground(IN), tasks=tasks)
    assert isinstance(made, CrossStitch)
    return made


def alphas(sharing: Sluice | CrossStitch) -> list[nn.Parameter]:
    return [mixer.weight for mixer in sharing.lockstep.mixers]


def shaken(sharing: Sluice) -> Sluice:
    """With any alpha and beta."""
    for weight in (*alphas(sharing), *sharing.betas.parameters()):
        nn.init.normal_(weight)
    return sharing


@pytest.fixture
def states() -> WordStates:
    return WordStates(torch.randn(2, 5, IN), MASK)


@torch.no_grad()
def features(sharing: Sluice | CrossStitch, states: WordStates, tasks: tuple[str, ...] = TASKS) -> dict[str, Tensor]:
    return dict(sharing.eval()(states, Request(tasks)).features)


# --- what sluice networks contain


def test_sl1_with_identity_and_the_last_layer_the_networks_are_independent(states: WordStates):
    sharing = sluice(layers=3, alpha="identity", beta="last")
    found = sharing(states, Request(TASKS)).features
    for task in TASKS:
        assert torch.equal(found[task], sharing.lockstep.towers[task](states))
    found["b"].square().sum().backward()
    for task, its_tower in sharing.lockstep.towers.items():
        assert all(bool(p.grad.any()) == (task == "b") for p in its_tower.parameters())


def test_sl2_one_subspace_and_the_last_layer_are_a_cross_stitch_network(states: WordStates):
    ours, theirs = sluice(subspaces=1, beta="last"), cross_stitch()
    theirs.lockstep.towers.load_state_dict(ours.lockstep.towers.state_dict())
    for weight, other in zip(alphas(ours), alphas(theirs), strict=True):
        nn.init.normal_(weight)
        other.data.copy_(weight)
    found, expected = features(ours, states), features(theirs, states)
    assert all(torch.equal(found[task], expected[task]) for task in TASKS)


@pytest.mark.parametrize("subspaces", [2, 4])
def test_sl3_one_alpha_for_all_subspaces_is_a_cross_stitch_network(subspaces: int, states: WordStates):
    ours, theirs = sluice(subspaces=subspaces, beta="last"), cross_stitch()
    theirs.lockstep.towers.load_state_dict(ours.lockstep.towers.state_dict())
    for weight, other in zip(alphas(ours), alphas(theirs), strict=True):
        nn.init.normal_(other)
        weight.data.copy_(torch.kron(other, torch.eye(subspaces)))
    found, expected = features(ours, states), features(theirs, states)
    for task in TASKS:
        torch.testing.assert_close(found[task], expected[task], atol=1e-5, rtol=1e-5)


def test_sl4_with_a_constant_alpha_every_next_layer_reads_the_same_vector(states: WordStates):
    sharing, read = sluice(layers=3), {}
    for weight in alphas(sharing):
        nn.init.constant_(weight, 0.3)
    for task, its_tower in sharing.lockstep.towers.items():
        for number, layer in its_tower.layers.items():
            layer.register_forward_pre_hook(
                lambda _, arguments, key=(int(number), task): read.update({key: arguments[0]})
            )
    features(sharing, states)
    assert len(read) == 9
    for number in (1, 2):
        for task in TASKS:
            torch.testing.assert_close(read[number, task], read[number, "a"])
        slices = read[number, "a"].view(2, 5, 2, 2, WIDTH // 4)  # [B, T, directions, S, units]
        torch.testing.assert_close(slices[..., 0, :], slices[..., 1, :])
        assert slices[MASK].any()


@pytest.mark.parametrize("subspaces", [1, 2, 4])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tasks", [("a",), TASKS])
def test_sl5_alpha_and_beta_have_as_many_parameters_as_the_paper_counts(tasks, layers: int, subspaces: int):
    sharing, M, S, K = sluice(tasks, layers, subspaces=subspaces), len(tasks), subspaces, layers
    assert sum(weight.numel() for weight in alphas(sharing)) == (M * S) ** 2 * K
    assert sum(weight.numel() for weight in sharing.betas.parameters()) == K * M
    towers = sum(p.numel() for p in sharing.lockstep.towers.parameters())
    assert sum(p.numel() for p in sharing.parameters()) == towers + (M * S) ** 2 * K + K * M


@pytest.mark.parametrize("order", [("c", "a", "b"), ("b", "a", "c")])
def test_sl7_the_order_of_tasks_means_nothing(order: tuple[str, ...], states: WordStates):
    S = 2
    ours, theirs = shaken(sluice(subspaces=S)), sluice(order, subspaces=S)
    theirs.lockstep.towers.load_state_dict(ours.lockstep.towers.state_dict())
    theirs.betas.load_state_dict(ours.betas.state_dict())
    places = torch.tensor([TASKS.index(task) * S + s for task in order for s in range(S)])
    for weight, other in zip(alphas(ours), alphas(theirs), strict=True):
        other.data.copy_(weight[places][:, places])
    found, expected = features(ours, states), features(theirs, states, order)
    for task in TASKS:
        torch.testing.assert_close(found[task], expected[task], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.omega(), theirs.omega())


# --- the whole, by its definition


def slice_of(state: Tensor, subspace: int, subspaces: int) -> Tensor:
    """[fw_s; bw_s] of a BiLSTM state."""
    units = WIDTH // 2 // subspaces
    forward, backward = state.split(WIDTH // 2, dim=-1)
    return torch.cat([d[..., subspace * units : (subspace + 1) * units] for d in (forward, backward)], dim=-1)


def joined(slices: list[Tensor]) -> Tensor:
    """The state whose slices these are."""
    halves = [piece.chunk(2, dim=-1) for piece in slices]
    return torch.cat([half[direction] for direction in (0, 1) for half in halves], dim=-1)


@torch.no_grad()
@pytest.mark.parametrize("subspaces", [1, 2, 4])
def test_features_are_those_of_the_definition(subspaces: int, states: WordStates):
    sharing, S = shaken(sluice(layers=3, subspaces=subspaces)), subspaces
    held, after = [states.states] * 3, []
    for k, alpha in enumerate(alphas(sharing)):
        hidden = [t.layers[str(k)](h, MASK) for t, h in zip(sharing.lockstep.in_order(), held, strict=True)]
        x = [slice_of(h, s, S) for h in hidden for s in range(S)]
        y = [sum(alpha[i, j] * x[j] for j in range(3 * S)) for i in range(3 * S)]
        held = [joined(y[m * S : (m + 1) * S]) for m in range(3)]
        after.append(held)
    found = features(sharing, states)
    for m, task in enumerate(TASKS):
        beta = sharing.betas[task].weight
        expected = sum(beta[k] * after[k][m] for k in range(3))
        torch.testing.assert_close(found[task], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("asked", [("b",), ("c", "a")])
def test_a_request_for_some_tasks_gives_the_same_features(asked: tuple[str, ...], states: WordStates):
    sharing = shaken(sluice())
    every, some = features(sharing, states), features(sharing, states, asked)
    assert tuple(some) == asked
    for task in asked:
        torch.testing.assert_close(some[task], every[task])


def test_what_serves_a_task_is_all_but_the_betas_of_others(states: WordStates):
    sharing = shaken(sluice()).eval()
    sharing(states, Request(("b",))).features["b"].square().sum().backward()
    learned = {name for name, p in sharing.named_parameters() if p.grad is not None and p.grad.any()}
    names = {id(p): name for name, p in sharing.named_parameters()}
    assert learned == {names[id(p)] for p in sharing.serving(["b"])}
    assert set(names.values()) - learned == {"betas.a.weight", "betas.c.weight"}


# --- the penalty


def weights_by_hand(sharing: Sluice) -> list[tuple[Tensor, Tensor]]:
    """The weights on the inputs of the two subspaces: gate by gate, direction by direction, layer by layer."""
    hidden = WIDTH // 2  # units of a direction; torch stacks its gates i, f, g, o on top of each other
    pairs = []
    for its_tower in sharing.lockstep.in_order():
        for layer in its_tower.layers.values():
            for lstm in (layer.forward_lstm, layer.backward_lstm):
                for gate in range(4):
                    rows = range(gate * hidden, (gate + 1) * hidden)
                    first, second = rows[: hidden // 2], rows[hidden // 2 :]
                    pairs.append((lstm.weight_ih_l0[list(first)], lstm.weight_ih_l0[list(second)]))
    return pairs


@pytest.mark.parametrize("form", ["unit", "column"])
def test_sl9_the_penalty_splits_every_gate_of_each_direction_into_its_subspaces(form: str):
    sharing = sluice(orthogonality_form=form)
    pairs = weights_by_hand(sharing)
    assert len(pairs) == 3 * 2 * 2 * 4  # towers, layers, directions, gates
    expected = torch.tensor(0.0)
    for one, other in pairs:
        vectors = (one, other) if form == "unit" else (one.T, other.T)
        products = [(x * y).sum() ** 2 for x in vectors[0] for y in vectors[1]]
        expected = expected + torch.stack(products).mean()
    torch.testing.assert_close(sharing.omega(), expected)


def test_sl9_a_slice_of_alpha_is_the_same_units_of_both_directions_as_a_slice_of_the_penalty(states: WordStates):
    sharing = sluice(("a",), 1, alpha="identity", beta="last")
    only = sharing.lockstep.in_order()[0]
    with torch.no_grad():
        for lstm in (only.layers["0"].forward_lstm, only.layers["0"].backward_lstm):
            lstm.weight_hh_l0.zero_()
            lstm.bias_ih_l0.zero_()
            lstm.bias_hh_l0.zero_()
        for weight in only.unit_weights(0):
            weight.chunk(2, dim=1)[1].zero_()  # the second subspace reads nothing: its cells stay 0
    alphas(sharing)[0].data = torch.tensor([[0.0, 1.0], [0.0, 1.0]])
    assert not features(sharing, states, ("a",))["a"].any()
    alphas(sharing)[0].data = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    found = features(sharing, states, ("a",))["a"][MASK]
    assert not slice_of(found, 0, 2).any()
    assert slice_of(found, 1, 2).all()


def orthonormal(sharing: Sluice) -> None:
    """Make the weight vectors of each gate's units orthonormal."""
    for its_tower in sharing.lockstep.in_order():
        for number in its_tower.layers:
            for weight in its_tower.unit_weights(int(number)):
                for gate in weight:
                    nn.init.orthogonal_(gate)


def test_sl6_the_penalty_is_zero_when_the_units_of_the_subspaces_are_orthogonal():
    sharing = sluice()  # 4 units of a direction, on 6 and 8 inputs
    assert sharing.omega() > 0.01
    orthonormal(sharing)
    assert sharing.omega().item() == pytest.approx(0.0, abs=1e-10)


def test_sl6_the_forms_differ():
    square = nn.init.orthogonal_(torch.empty(4, 4))[None]
    assert subspace_orthogonality(square, subspaces=2, form="unit").item() == pytest.approx(0.0, abs=1e-10)
    assert subspace_orthogonality(square, subspaces=2, form="column") > 0.01
    apart = torch.block_diag(torch.randn(2, 2), torch.randn(2, 2))  # the two subspaces read different inputs
    one, other = apart.chunk(2)
    assert subspace_orthogonality(apart[None], subspaces=2, form="unit") == 0
    by_columns = (one.T @ other).square().mean()
    torch.testing.assert_close(subspace_orthogonality(apart[None], subspaces=2, form="column"), by_columns)


def test_the_penalty_of_many_subspaces_is_the_mean_over_all_pairs():
    weight = torch.randn(6, 5)
    slices = weight.split(2)
    pairs = [(slices[i] @ slices[j].T).square().mean() for i, j in [(0, 1), (0, 2), (1, 2)]]
    torch.testing.assert_close(
        subspace_orthogonality(weight[None], subspaces=3, form="unit"), torch.stack(pairs).mean()
    )


def test_the_penalty_of_many_matrices_is_their_sum():
    weight = torch.randn(4, 6, 5)
    alone = [subspace_orthogonality(matrix[None], subspaces=2, form="unit") for matrix in weight]
    torch.testing.assert_close(subspace_orthogonality(weight, subspaces=2, form="unit"), torch.stack(alone).sum())


@pytest.mark.parametrize("form", ["unit", "column"])
@pytest.mark.parametrize("subspaces", [2, 3, 4])
def test_the_gradient_of_the_penalty_is_that_of_finite_differences(subspaces: int, form: str):
    weight = torch.randn(2, 12, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: subspace_orthogonality(w, subspaces=subspaces, form=form), weight)


def test_the_penalty_is_not_computed_in_mixed_precision():
    weight = torch.randn(2, 4, 5, requires_grad=True)
    plain = subspace_orthogonality(weight, subspaces=2, form="unit")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = subspace_orthogonality(weight, subspaces=2, form="unit")
    assert torch.equal(mixed, plain)
    mixed.backward()


def test_sl6_the_penalty_has_no_gradient_on_alpha_and_beta(states: WordStates):
    sharing = shaken(sluice(orthogonality=0.5))
    penalties = sharing.train()(states, Request(TASKS)).penalties
    assert list(penalties) == ["orthogonality"]
    torch.testing.assert_close(penalties["orthogonality"], 0.5 * sharing.omega())
    penalties["orthogonality"].backward()
    learned = {name for name, p in sharing.named_parameters() if p.grad is not None}
    assert learned == {name for name, _ in sharing.named_parameters() if "weight_ih" in name}


@pytest.mark.parametrize("options", [{"orthogonality": 0.0}, {"subspaces": 1}])
def test_there_is_no_penalty_where_there_is_nothing_to_penalise(options: dict[str, Any], states: WordStates):
    assert not sluice(**options).train()(states, Request(TASKS)).penalties


def test_there_is_no_penalty_outside_of_training(states: WordStates):
    assert not sluice().eval()(states, Request(TASKS)).penalties


# --- how alpha and beta start


def test_the_papers_pattern_prefers_one_source_subspace_for_each_target():
    # METHODS.md section 2.2: A1, A2 <- 0.95 from (A2, B2); B1, B2 <- 0.95 from (A1, B1); the rest 0.05.
    expected = [
        [0.05, 0.95, 0.05, 0.95],
        [0.05, 0.95, 0.05, 0.95],
        [0.95, 0.05, 0.95, 0.05],
        [0.95, 0.05, 0.95, 0.05],
    ]
    torch.testing.assert_close(initial_alpha(2, subspaces=2, pattern="paper"), torch.tensor(expected))
    halved = torch.tensor(expected) / 2  # 0.475 and 0.025
    torch.testing.assert_close(initial_alpha(2, subspaces=2, pattern="imbalanced"), halved)


@pytest.mark.parametrize("pattern", ["paper", "imbalanced"])
def test_without_subspaces_the_bias_is_towards_the_own_task(pattern: str):
    expected = torch.full((3, 3), 0.05).fill_diagonal_(0.9)
    torch.testing.assert_close(initial_alpha(3, subspaces=1, pattern=pattern), expected)


def test_the_other_patterns():
    assert torch.equal(initial_alpha(2, subspaces=2, pattern="identity"), torch.eye(4))
    assert torch.equal(initial_alpha(2, subspaces=2, pattern="balanced"), torch.full((4, 4), 0.25))
    own = torch.full((4, 4), 0.1 / 3).fill_diagonal_(0.9)
    torch.testing.assert_close(initial_alpha(2, subspaces=2, pattern="own_subspace"), own)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("subspaces", [1, 2, 3])
@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_rows_start_convex_in_all_patterns_but_the_papers(tasks: int, subspaces: int, pattern: str):
    alpha = initial_alpha(tasks, subspaces=subspaces, pattern=pattern)
    assert alpha.shape == (tasks * subspaces, tasks * subspaces)
    assert (alpha >= 0).all()
    if pattern != "paper" or subspaces == 1:
        torch.testing.assert_close(alpha.sum(dim=1), torch.ones(tasks * subspaces))


def test_beta_starts_as_asked():
    assert initial_beta(3, pattern="last").tolist() == [0.0, 0.0, 1.0]
    assert initial_beta(3, pattern="biased").tolist() == pytest.approx([0.05, 0.05, 0.9])
    assert initial_beta(4, pattern="uniform").tolist() == [0.25] * 4
    assert initial_beta(3, pattern="ones").tolist() == [1.0] * 3


@pytest.mark.parametrize("pattern", ["last", "biased", "uniform", "ones"])
def test_the_beta_of_one_layer_is_1(pattern: str):
    assert initial_beta(1, pattern=pattern).tolist() == [1.0]


@pytest.mark.parametrize("normalisation", ["none", "softmax", "l1"])
def test_alpha_starts_at_its_pattern_under_any_normalisation(normalisation: str):
    sharing = sluice(normalisation=normalisation, alpha="imbalanced")
    for mixer in sharing.lockstep.mixers:
        assert isinstance(mixer, Alpha)
        assert mixer.normalisation == normalisation
        torch.testing.assert_close(mixer.matrix, initial_alpha(3, subspaces=2, pattern="imbalanced"))


# --- what was learned


def test_what_was_learned_has_the_names_of_tasks_subspaces_and_layers():
    sharing = shaken(sluice())
    tables = sharing.coupling().tables
    assert list(tables) == ["alpha 1", "alpha 2", "beta"]
    slices = ["a.1", "a.2", "b.1", "b.2", "c.1", "c.2"]
    for number in (1, 2):
        table = tables[f"alpha {number}"]
        assert list(table.rows) == list(table.columns) == slices
        assert torch.equal(table.values, alphas(sharing)[number - 1])
    assert (tuple(tables["beta"].rows), tables["beta"].columns) == (TASKS, ["layer 1", "layer 2"])
    for row, task in zip(tables["beta"].values, TASKS, strict=True):
        assert torch.equal(row, sharing.betas[task].weight)
    assert tuple(sluice(subspaces=1).coupling().tables["alpha 1"].rows) == TASKS


def test_what_was_learned_is_shown_as_it_is_used():
    sharing = shaken(sluice(normalisation="softmax"))
    values = sharing.coupling().tables["alpha 1"].values
    torch.testing.assert_close(values, alphas(sharing)[0].softmax(dim=1))


# --- subspaces that a tower does not have


def blocks_of_six_heads(subspaces: int) -> Sluice:
    """On two blocks of 24 units."""
    config = BertConfig(vocab_size=8, hidden_size=24, num_hidden_layers=3, num_attention_heads=6, intermediate_size=8)
    ground = Ground(24, cut(build_backbone(config), layers=2))
    spec = SluiceSpec(kind="sluice", tower=TransformerTowerSpec(kind="transformer", layers=2), subspaces=subspaces)
    made = build_sharing(spec, ground=ground, tasks=TASKS)
    assert isinstance(made, Sluice)
    return made


@pytest.mark.parametrize("subspaces", [3, 8])
def test_subspaces_that_do_not_divide_the_units_of_a_direction_are_an_error(subspaces: int):
    expected = rf"sharing\.subspaces: {subspaces} does not divide the 4 units of each direction .*; allowed: 1, 2, 4$"
    with pytest.raises(ConfigError, match=expected):
        sluice(subspaces=subspaces)


@pytest.mark.parametrize("subspaces", [4, 8, 12])
def test_subspaces_that_cut_attention_heads_are_an_error_although_they_divide_the_width(subspaces: int):
    expected = rf"sharing\.subspaces: {subspaces} does not divide the 6 attention heads .*; allowed: 1, 2, 3, 6$"
    with pytest.raises(ConfigError, match=expected):
        blocks_of_six_heads(subspaces)


@pytest.mark.parametrize("subspaces", [1, 3, 6])
def test_subspaces_of_whole_heads_are_possible(subspaces: int):
    size = 3 * subspaces
    assert [tuple(weight.shape) for weight in alphas(blocks_of_six_heads(subspaces))] == [(size, size)] * 2
