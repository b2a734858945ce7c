"""Shared and private towers, side by side or stacked: METHODS.md section 1.5."""

import pytest
import torch
from torch import Tensor, nn

from seqmtl.batch import PieceInputs, PieceStates, States, WordStates
from seqmtl.heads.softmax import SoftmaxHead
from seqmtl.sharing.adversary import TaskAdversary
from seqmtl.sharing.base import Request
from seqmtl.sharing.domain_separation import Reconstruction, difference
from seqmtl.sharing.hard import HardSharing
from seqmtl.sharing.shared_private import PrivateInput, Separation, SharedPrivate
from seqmtl.sharing.towers.bilstm import BiLSTMTower

TASKS = ("a", "b")
D, WIDTH = 4, 6
MASK = torch.arange(5) < torch.tensor([5, 2, 3])[:, None]
ROWS = {"a": torch.tensor([True, True, False]), "b": torch.tensor([False, True, False])}
INPUTS: tuple[PrivateInput, ...] = ("states", "concat", "shared_only")
SIZES = {"states": D, "concat": D + WIDTH, "shared_only": WIDTH}


def tower(in_features: int = D, *, width: int = WIDTH) -> BiLSTMTower:
    return BiLSTMTower(in_features, width=width, layers=1, dropout=0.0)


def scheme(private_input: PrivateInput, separation: Separation | None = None) -> SharedPrivate:
    private = {task: tower(SIZES[private_input]) for task in TASKS}
    return SharedPrivate(tower(), private, private_input=private_input, separation=separation or Separation())


def separated() -> SharedPrivate:
    return scheme(
        "states",
        Separation(
            adversary=TaskAdversary(WIDTH, tasks=TASKS, weight=0.5),
            orthogonality=0.25,
            decoder=Reconstruction(WIDTH, D),
            reconstruction=0.125,
        ),
    )


def words() -> WordStates:
    return WordStates(torch.randn(3, 5, D), MASK)


def penalties_of(sharing: SharedPrivate, states: States, rows: dict[str, Tensor] = ROWS) -> dict[str, Tensor]:
    return dict(sharing(states, Request(TASKS, rows)).penalties)


def test_parallel_features_are_the_shared_and_the_private_ones_side_by_side():
    sharing, states = scheme("states"), words()
    features = sharing(states, Request(TASKS)).features
    assert sharing.out_features == 2 * WIDTH
    for task in TASKS:
        wanted = torch.cat((sharing.shared(states), sharing.private[task](states)), dim=-1)
        assert torch.equal(features[task], wanted)
    assert torch.equal(features["a"][..., :WIDTH], features["b"][..., :WIDTH])
    assert not torch.isclose(features["a"], features["b"])[..., WIDTH:][MASK].all()


@pytest.mark.parametrize("private_input", ["concat", "shared_only"])
def test_stacked_features_are_the_private_towers_over_the_shared_one(private_input: PrivateInput):
    sharing, states = scheme(private_input), words()
    features = sharing(states, Request(TASKS)).features
    shared = sharing.shared(states)
    read = torch.cat((states.states, shared), dim=-1) if private_input == "concat" else shared
    assert sharing.out_features == WIDTH
    for task in TASKS:
        assert torch.equal(features[task], sharing.private[task](WordStates(read, MASK)))


def test_sp3_parallel_with_private_weights_of_0_is_hard_sharing():
    sharing, states = scheme("states"), words()
    hard = HardSharing(D, tower=sharing.shared)(states, Request(TASKS)).features["a"]
    for parameter in sharing.private.parameters():
        nn.init.zeros_(parameter)
    features = sharing(states, Request(TASKS)).features
    wide, narrow = SoftmaxHead(2 * WIDTH, 3), SoftmaxHead(WIDTH, 3)
    narrow.scorer.outer.weight.data = wide.scorer.outer.weight.data[..., :WIDTH]
    narrow.scorer.outer.bias.data = wide.scorer.outer.bias.data
    for task in TASKS:
        assert torch.equal(features[task], torch.cat((hard, torch.zeros_like(hard)), dim=-1))
        torch.testing.assert_close(
            wide.eval().scores(features[task], states.mask), narrow.eval().scores(hard, states.mask)
        )


@pytest.mark.parametrize("private_input", ["concat", "shared_only"])
def test_sp3_stacked_with_private_towers_that_read_the_shared_one_out_is_hard_sharing(private_input: PrivateInput):
    sharing, states = scheme(private_input), words()
    for private in sharing.private.values():
        read_out(private, gain=0.01)
    hard = HardSharing(D, tower=sharing.shared)(states, Request(TASKS)).features["a"]
    for features in sharing(states, Request(TASKS)).features.values():
        torch.testing.assert_close(features / 0.01, hard, atol=1e-4, rtol=1e-3)
    assert hard[MASK].abs().max() > 0.01


def read_out(private: nn.Module, *, gain: float) -> None:
    """Make a BiLSTM give back ``gain`` times the last features that it reads, nearly: tanh of tanh is linear near 0."""
    assert isinstance(private, BiLSTMTower)
    half = WIDTH // 2
    layer = private.layers["0"]
    for parameter in private.parameters():
        nn.init.zeros_(parameter)
    for direction, lstm in enumerate((layer.forward_lstm, layer.backward_lstm)):
        first = lstm.weight_ih_l0.shape[1] - WIDTH + direction * half
        lstm.weight_ih_l0.data[2 * half : 3 * half, first : first + half] = gain * torch.eye(half)
        lstm.bias_ih_l0.data = torch.tensor([20.0, -20.0, 0.0, 20.0]).repeat_interleave(half)  # i, f, g, o


@pytest.mark.parametrize("private_input", INPUTS)
def test_only_the_private_towers_of_wanted_tasks_run(private_input: PrivateInput):
    sharing, ran = scheme(private_input), []
    for task, private in sharing.private.items():
        private.register_forward_hook(lambda *_, task=task: ran.append(task))
    assert list(sharing(words(), Request(("b",))).features) == ["b"]
    assert ran == ["b"]


@pytest.mark.parametrize("private_input", INPUTS)
def test_the_private_tower_of_an_absent_task_rests(private_input: PrivateInput):
    sharing = scheme(private_input)
    sharing(words(), Request(("a",))).features["a"].square().sum().backward()
    serving = {id(p) for p in sharing.serving(["a"])}
    assert serving == {id(p) for p in (*sharing.shared.parameters(), *sharing.private["a"].parameters())}
    for parameter in sharing.parameters():
        assert (parameter.grad is not None) == (id(parameter) in serving)


def test_what_separates_serves_every_task():
    sharing = separated()
    serving = {id(p) for p in sharing.serving(["b"])}
    assert serving == {id(p) for name, p in sharing.named_parameters() if not name.startswith("private.a")}


def test_penalties_are_the_weighted_losses_over_the_words_of_each_tasks_sentences():
    sharing, states = separated(), words()
    shared, found = sharing.shared(states), penalties_of(sharing, states)
    private = {task: sharing.private[task](states) for task in TASKS}
    rows = {task: MASK & ROWS[task][:, None] for task in TASKS}
    parts = [difference(shared, private[task], words=rows[task], normalise=True) for task in TASKS]
    errors = [
        sharing.separation.decoder(shared, private[task], states=states.states, words=rows[task]) for task in TASKS
    ]
    assert list(found) == ["adversary", "orthogonality", "reconstruction"]
    assert torch.equal(found["adversary"], sharing.separation.adversary(shared, MASK, rows=ROWS))
    torch.testing.assert_close(found["orthogonality"], 0.25 * (parts[0] + parts[1]))
    torch.testing.assert_close(found["reconstruction"], 0.125 * (errors[0] + errors[1]))


def test_the_papers_sum_of_squares_is_for_the_asking():
    sharing, states = scheme("states", Separation(orthogonality=1.0, normalise=False)), words()
    shared, found = sharing.shared(states), penalties_of(sharing, states)
    wanted = 0.0
    for task in TASKS:
        real = MASK & ROWS[task][:, None]
        wanted += (shared[real].T @ sharing.private[task](states)[real]).square().sum().item()
    assert list(found) == ["orthogonality"]
    assert found["orthogonality"].item() == pytest.approx(wanted, rel=1e-5)


def test_an_absent_task_adds_nothing_to_the_penalties_and_learns_nothing_from_them():
    sharing, states = separated(), words()
    absent = {**ROWS, "b": torch.zeros(3, dtype=torch.bool)}
    found = penalties_of(sharing, states, absent)
    alone = sharing(states, Request(("a",), {"a": ROWS["a"]})).penalties
    for name, penalty in found.items():
        torch.testing.assert_close(penalty, alone[name])
    torch.stack(list(found.values())).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in sharing.private["b"].parameters())
    assert all(p.grad is not None and p.grad.any() for p in sharing.private["a"].parameters())


def test_a_batch_without_any_task_has_penalties_of_0_with_every_parameter_in_the_graph():
    sharing = separated()
    found = penalties_of(sharing, words(), dict.fromkeys(TASKS, torch.zeros(3, dtype=torch.bool)))
    assert all(penalty.item() == 0.0 for penalty in found.values())
    torch.stack(list(found.values())).sum().backward()
    assert all(p.grad is not None and not p.grad.any() for p in sharing.parameters())


def test_pieces_are_pooled_once_for_what_stacked_towers_read_and_for_what_is_reconstructed():
    """Each pooling draws a dropout mask, so that two of them would differ."""
    sharing, pooled = scheme("concat", Separation(decoder=Reconstruction(WIDTH, D), reconstruction=1.0)), []

    def pool(pieces: Tensor) -> Tensor:
        pooled.append(nn.functional.dropout(pieces, 0.5))
        return pooled[-1]

    pieces = PieceInputs(*[torch.zeros(3, 5, dtype=torch.long)] * 6)
    read: dict[str, Tensor] = {}
    sharing.shared.register_forward_pre_hook(lambda _, states: read.update(shared=states[0].states))
    sharing.private["a"].register_forward_pre_hook(lambda _, states: read.update(private=states[0].states))
    found = penalties_of(sharing, PieceStates(torch.randn(3, 5, D), pieces, MASK, pool))
    assert len(pooled) == 1
    assert torch.equal(read["shared"], pooled[0])
    assert torch.equal(read["private"][..., :D], pooled[0])
    assert torch.equal(found["reconstruction"], penalties_of(sharing, WordStates(pooled[0], MASK))["reconstruction"])


def test_there_are_penalties_only_in_training_and_where_it_is_known_who_carries_what():
    sharing, states = separated(), words()
    assert not sharing(states, Request(TASKS)).penalties
    assert penalties_of(sharing, states)
    assert not penalties_of(sharing.eval(), states)
    assert not penalties_of(scheme("states"), states)


def test_sp1_shared_features_learn_to_hide_the_task_and_the_adversary_to_find_it():
    sharing, states = scheme("states", Separation(adversary=TaskAdversary(WIDTH, tasks=TASKS, weight=0.5))), words()
    assert sharing.separation.adversary is not None
    plain = TaskAdversary(WIDTH, tasks=TASKS, weight=-1.0)  # reverses the reversal
    plain.load_state_dict(sharing.separation.adversary.state_dict())
    below = list(sharing.shared.parameters())
    wanted = torch.autograd.grad(plain(sharing.shared(states), MASK, rows=ROWS), [*below, *plain.parameters()])
    loss = penalties_of(sharing, states)["adversary"]
    found = torch.autograd.grad(loss, [*below, *sharing.separation.adversary.parameters()])
    for number, (ours, theirs) in enumerate(zip(found, wanted, strict=True)):
        torch.testing.assert_close(ours, (-0.5 if number < len(below) else 1.0) * theirs)
        assert theirs.any()
