"""Alpha against plain loops, and the formulas of Misra et al. (2016) and Ruder et al. (2019).

I target and J source towers, M towers, S subspaces, N sequences, L positions, D features, d = D / S; K layers.
"""

from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from seqmtl.layers.mixing import Alpha, Beta, ChannelAlpha


@dataclass(frozen=True)
class Shape:
    """Sizes of a mixture, and which towers take part in it."""

    towers: int
    subspaces: int
    directions: int
    units: int  # of a subspace, of one direction
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    seed: int

    @property
    def features(self) -> int:
        return self.directions * self.subspaces * self.units

    def states(self) -> list[Tensor]:
        """One state for each source."""
        torch.manual_seed(self.seed)
        return [torch.randn(2, 3, self.features, dtype=torch.float64) for _ in self.sources]

    def matrix(self) -> Tensor:
        torch.manual_seed(self.seed + 1)
        return torch.randn(self.towers * self.subspaces, self.towers * self.subspaces, dtype=torch.float64)


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    towers = draw(st.integers(1, 4))
    some = st.sets(st.integers(0, towers - 1), min_size=1).map(lambda chosen: tuple(sorted(chosen)))
    numbers = (draw(st.integers(1, high)) for high in (3, 2, 3))
    return Shape(towers, *numbers, draw(some), draw(some), draw(st.integers(0, 99)))


def alpha(matrix: Tensor, subspaces: int = 1, directions: int = 1, normalisation="none", kept=None) -> Alpha:
    return Alpha(matrix, subspaces=subspaces, directions=directions, normalisation=normalisation, kept=kept)


def all_of(mixer: Alpha | ChannelAlpha, states: list[Tensor]) -> list[Tensor]:
    """The mixture of all towers for all of them."""
    return mixer(states, sources=range(len(states)), targets=range(len(states)))


def mixed_by_loops(matrix: Tensor, states: list[Tensor], shape: Shape) -> list[Tensor]:
    """The same mixture, one slice of one direction of one tower after the other."""
    d, S = shape.units, shape.subspaces

    def place(direction: int, subspace: int) -> slice:
        start = direction * S * d + subspace * d
        return slice(start, start + d)

    mixed = []
    for target in shape.targets:
        total = torch.zeros_like(states[0])
        for state, source in zip(states, shape.sources, strict=True):
            for direction in range(shape.directions):
                for to in range(S):
                    for of in range(S):
                        share = matrix[target * S + to, source * S + of]
                        total[..., place(direction, to)] += share * state[..., place(direction, of)]
        mixed.append(total)
    return mixed


@settings(max_examples=40)
@given(shapes())
def test_alpha_equals_plain_loops_over_slices(shape: Shape):
    matrix, states = shape.matrix(), shape.states()
    mixer = alpha(matrix, shape.subspaces, shape.directions)
    found = mixer(states, sources=shape.sources, targets=shape.targets)
    assert len(found) == len(shape.targets)
    for ours, expected in zip(found, mixed_by_loops(matrix, states, shape), strict=True):
        torch.testing.assert_close(ours, expected)


@settings(max_examples=40)
@given(shapes())
def test_alpha_equals_the_einsum_of_the_reference_specification(shape: Shape):
    # METHODS.md section 2.2, which has one direction and all towers.
    M, S, D = shape.towers, shape.subspaces, shape.subspaces * shape.units
    matrix, h = shape.matrix(), torch.randn(M, 2, 3, D, dtype=torch.float64)
    x = h.view(M, 2, 3, S, D // S).permute(0, 3, 1, 2, 4).reshape(M * S, 2, 3, D // S)
    y = torch.einsum("ij,jbtd->ibtd", matrix, x)
    expected = y.view(M, S, 2, 3, D // S).permute(0, 2, 3, 1, 4).reshape(M, 2, 3, D)
    torch.testing.assert_close(torch.stack(all_of(alpha(matrix, S), list(h))), expected)


@settings(max_examples=40)
@given(shapes())
def test_alpha_is_linear_in_the_states_and_in_itself(shape: Shape):
    matrix, states, more = shape.matrix(), shape.states(), [state.flip(0) for state in shape.states()]

    def mix(A: Tensor, h: list[Tensor]) -> Tensor:
        mixer = alpha(A, shape.subspaces, shape.directions)
        return torch.stack(mixer(h, sources=shape.sources, targets=shape.targets))

    plain = mix(matrix, states)
    torch.testing.assert_close(mix(matrix, [3 * h for h in states]), 3 * plain)
    torch.testing.assert_close(mix(-2 * matrix, states), -2 * plain)
    sums = [one + other for one, other in zip(states, more, strict=True)]
    torch.testing.assert_close(mix(matrix, sums), plain + mix(matrix, more))


@pytest.mark.parametrize("subspaces", [1, 2])
def test_identity_gives_back_every_bit(subspaces: int):
    states = list(torch.randn(3, 2, 4, 12))
    mixed = all_of(alpha(torch.eye(3 * subspaces), subspaces, directions=2), states)
    assert all(torch.equal(ours, state) for ours, state in zip(mixed, states, strict=True))


def test_mixed_precision_does_not_round_alpha():
    states = [torch.randn(2, 3, 8) for _ in range(2)]
    outputs = []
    for share in (0.9, 0.901):
        mixer = Alpha(
            torch.tensor([[share, 0.1], [0.1, share]]), subspaces=1, directions=1, normalisation="none", kept=None
        )
        plain = mixer(states, sources=(0, 1), targets=(0, 1))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            mixed = mixer(states, sources=(0, 1), targets=(0, 1))
            mixer([state.bfloat16() for state in states], sources=(0, 1), targets=(0, 1))
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(mixed, plain, strict=True))
        outputs.append(mixed[0])
    assert not torch.equal(*outputs)


def test_a_direction_never_reads_the_other():
    states = [torch.cat((torch.ones(1, 1, 4), torch.full((1, 1, 4), 2.0)), dim=-1)]  # forward 1, backward 2
    mixed = all_of(alpha(torch.full((2, 2), 0.5), subspaces=2, directions=2), states)[0]
    assert mixed.flatten().tolist() == [1.0] * 4 + [2.0] * 4


@settings(max_examples=40)
@given(shapes())
def test_the_gradient_of_alpha_is_the_product_of_slices(shape: Shape):
    # dL / dA_ij = sum_t <dL/dh~_i,t , h_j,t>; entries of towers that take no part have none.
    mixer, states = alpha(shape.matrix(), shape.subspaces, shape.directions), shape.states()
    mixed = mixer(states, sources=shape.sources, targets=shape.targets)
    above = [torch.randn_like(state) for state in mixed]  # dL / dh~
    torch.stack([(a * m).sum() for a, m in zip(above, mixed, strict=True)]).sum().backward()

    def slices(state: Tensor) -> Tensor:  # [S, N * L * directions * d]
        return (
            state.view(-1, shape.directions, shape.subspaces, shape.units).transpose(0, 2).reshape(shape.subspaces, -1)
        )

    expected = torch.zeros_like(mixer.weight)
    for a, target in zip(above, shape.targets, strict=True):
        for h, source in zip(states, shape.sources, strict=True):
            for i, of_target in enumerate(slices(a)):
                for j, of_source in enumerate(slices(h)):
                    cell = (target * shape.subspaces + i, source * shape.subspaces + j)
                    expected[cell] = (of_target * of_source).sum()
    torch.testing.assert_close(mixer.weight.grad, expected)


# --- normalisation and pruned entries


def test_softmax_starts_at_the_given_values_and_keeps_rows_convex():
    initial = torch.tensor([[0.9, 0.1], [0.25, 0.75]])
    mixer = alpha(initial, normalisation="softmax")
    torch.testing.assert_close(mixer.matrix, initial)
    nn.init.normal_(mixer.weight, std=5.0)
    expected = mixer.weight.exp() / mixer.weight.exp().sum(dim=1, keepdim=True)
    torch.testing.assert_close(mixer.matrix, expected)
    assert (mixer.matrix > 0).all()


def test_l1_divides_each_row_by_the_sum_of_its_magnitudes():
    mixer = alpha(torch.tensor([[3.0, -1.0], [0.0, 0.5]]), normalisation="l1")
    torch.testing.assert_close(mixer.matrix, torch.tensor([[0.75, -0.25], [0.0, 1.0]]))
    states = list(torch.randn(2, 1, 2, 4))
    torch.testing.assert_close(all_of(mixer, states)[0], 0.75 * states[0] - 0.25 * states[1])


def test_without_normalisation_alpha_is_its_weight():
    mixer = alpha(torch.tensor([[3.0, -1.0], [0.0, 0.5]]))
    assert mixer.matrix is mixer.weight


@pytest.mark.parametrize("normalisation", ["none", "softmax", "l1"])
def test_what_is_not_kept_is_zero_whatever_the_weights(normalisation: str):
    kept = torch.tensor([[True, False], [True, True]])
    whole = alpha(torch.tensor([[0.6, 0.4], [0.3, 0.7]]), normalisation=normalisation)
    pruned = alpha(torch.tensor([[0.6, 0.4], [0.3, 0.7]]), normalisation=normalisation, kept=kept)
    assert torch.equal(pruned.matrix, whole.matrix * kept)  # what is kept does not change
    nn.init.normal_(pruned.weight)
    assert pruned.matrix[0, 1] == 0
    assert pruned.state_dict().keys() == {"weight", "kept"}
    assert whole.state_dict().keys() == {"weight"}


@settings(max_examples=40)
@given(shapes())
def test_a_diagonal_alpha_equals_plain_loops_over_slices(shape: Shape):
    matrix, states = shape.matrix(), shape.states()
    kept = torch.eye(len(matrix), dtype=torch.bool)
    shape = replace(shape, targets=shape.sources)
    mixer = alpha(matrix, shape.subspaces, shape.directions, kept=kept)
    assert mixer.diagonal
    found = mixer(states, sources=shape.sources, targets=shape.targets)
    for ours, expected in zip(found, mixed_by_loops(matrix * kept, states, shape), strict=True):
        torch.testing.assert_close(ours, expected)


def test_alpha_is_diagonal_only_where_no_other_entry_is_kept():
    kept = torch.eye(4, dtype=torch.bool)
    assert alpha(torch.ones(4, 4), 2, kept=kept).diagonal
    assert alpha(torch.ones(4, 4), 2, kept=kept & (torch.arange(4) > 0)).diagonal
    assert not alpha(torch.ones(4, 4), 2).diagonal
    kept[2, 3] = True  # within a tower
    mixer = alpha(torch.ones(4, 4), 2, kept=kept)
    assert not mixer.diagonal
    mixer.keep(torch.eye(4, dtype=torch.bool))
    assert mixer.diagonal


# --- one matrix per feature


@settings(max_examples=40)
@given(shapes())
def test_channel_alpha_has_a_matrix_per_feature(shape: Shape):
    mixer = ChannelAlpha(torch.eye(shape.towers, dtype=torch.float64), features=shape.features, kept=None)
    nn.init.normal_(mixer.weight)
    states = shape.states()
    found = mixer(states, sources=shape.sources, targets=shape.targets)
    for ours, target in zip(found, shape.targets, strict=True):
        for channel in range(shape.features):
            shares = mixer.weight[target, list(shape.sources), channel]
            expected = (shares * torch.stack([state[..., channel] for state in states], dim=-1)).sum(dim=-1)
            torch.testing.assert_close(ours[..., channel], expected)


def test_channel_alpha_with_equal_matrices_is_alpha():
    matrix, states = torch.randn(3, 3), list(torch.randn(3, 2, 4, 6))
    for ours, expected in zip(
        all_of(ChannelAlpha(matrix, features=6, kept=None), states), all_of(alpha(matrix), states), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_a_pair_of_towers_that_is_not_kept_is_zero_in_every_feature():
    kept = torch.tensor([[True, False], [True, True]])
    mixer = ChannelAlpha(torch.full((2, 2), 0.5), features=3, kept=kept)
    nn.init.normal_(mixer.weight)
    assert torch.equal(mixer.matrix[0, 1], torch.zeros(3))
    assert torch.equal(mixer.matrix[1, 0], mixer.weight[1, 0])
    states = list(torch.randn(2, 1, 2, 3))
    torch.testing.assert_close(all_of(mixer, states)[0], mixer.weight[0, 0] * states[0])


# --- beta


def test_beta_is_the_weighted_sum_of_layers():
    layers = list(torch.randn(3, 2, 4, 6))
    beta = Beta(torch.tensor([0.5, -1.0, 2.0]))
    torch.testing.assert_close(beta(layers), 0.5 * layers[0] - layers[1] + 2.0 * layers[2])
    (beta(layers) * layers[1]).sum().backward()
    torch.testing.assert_close(beta.weight.grad, torch.stack([(layer * layers[1]).sum() for layer in layers]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_beta_gives_without_gradients_what_it_gives_with_them_and_leaves_the_layers_alone(dtype):
    layers, beta = list(torch.randn(3, 2, 4, 6).to(dtype)), Beta(torch.tensor([0.9, 0.001, -2.0]))
    before = [layer.clone() for layer in layers]
    with torch.no_grad():
        added_up = beta(layers)
    torch.testing.assert_close(added_up, beta(layers).detach())
    assert added_up.dtype == torch.float32
    assert all(torch.equal(*pair) for pair in zip(layers, before, strict=True))


def test_mixed_precision_does_not_round_beta():
    layers, beta = list(torch.randn(2, 2, 4, 6)), Beta(torch.tensor([0.9, 0.001]))
    plain = beta(layers)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(beta(layers), plain)
        assert beta([layer.bfloat16() for layer in layers]).dtype == torch.float32


def test_beta_on_one_layer_gives_back_every_bit():
    layers = list(torch.randn(2, 2, 4, 6))
    assert torch.equal(Beta(torch.tensor([0.0, 1.0]))(layers), layers[1])
    assert torch.equal(Beta(torch.tensor([1.0]))(layers[:1]), layers[0])


def test_mixtures_do_not_change_what_they_start_from():
    initial = torch.full((2,), 0.5)
    beta = Beta(initial)
    nn.init.zeros_(beta.weight)
    mixer = alpha(torch.eye(2))
    assert initial.tolist() == [0.5, 0.5]
    assert mixer.weight.requires_grad
