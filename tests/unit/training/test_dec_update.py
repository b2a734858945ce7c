"""DecUpdate on every kind of head: greedy, perturb, hyperperturb, and their order (METHODS.md 4.2)."""

import numpy as np
import pytest
import torch
from torch.optim import AdamW

from seqmtl.heads.build import build_head
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.specs.pseudo_tasks import PseudoTasksSpec
from seqmtl.specs.tasks import CRFHeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec
from seqmtl.training.dec_update import HIGHEST_RATE, dec_update, moments

LABELS = LabelInventory((*(f"{b}-{n}" for n in range(10) for b in "BI"), "O", "B-V"))
SPECS = {
    "softmax": SoftmaxHeadSpec(kind="softmax", hidden=30),
    "crf": CRFHeadSpec(kind="crf"),
    "predicate": PredicateHeadSpec(kind="predicate", hidden=20),
    "srl": SRLHeadSpec(kind="srl", width=32),
}
K = 4


@pytest.fixture(params=SPECS)
def head(request):
    """A head of four decoders with dropout of their own, whose rates differ."""
    options = {"in_features": 40, "labels": LABELS, "scheme": Scheme.BIO}
    head = build_head(SPECS[request.param], **options, decoders=K, own_dropout=True)
    head.scorer.rates.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
    return head


@pytest.fixture
def optimizer(head):
    """It has taken two steps on random gradients."""
    optimizer = AdamW(head.parameters(), lr=0.01)
    for _ in range(2):
        for parameter in head.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
    return optimizer


def spec(*update, init=("dropout",), **more):
    return PseudoTasksSpec(decoders=K, init=init, update=update, **more)


def updated(head, optimizer, spec, *, leader=2, seed=1):
    """All that each decoder has, moments too, before and after; and which is the best now."""

    def snapshot():
        found = {name: values.detach().clone() for name, values in head.own().items()}
        for name, values in head.own().items():
            found |= {f"{name} {n}": part.clone() for n, part in enumerate(moments(optimizer, values))}
        return found

    before = snapshot()
    best = dec_update(head, optimizer, spec, leader=leader, rng=np.random.default_rng(seed))
    return before, snapshot(), best


def is_parameter(name):
    return " " not in name and not name.endswith("rates")


def test_moments_are_those_of_all_parameters(head, optimizer):
    names = {name for name in updated(head, optimizer, spec())[0] if " " in name}
    assert names == {f"{name} {n}" for name in head.own() if not name.endswith("rates") for n in (0, 1)}


def test_without_an_update_everything_stays(head, optimizer):
    before, after, best = updated(head, optimizer, spec())
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert best == 2


def test_pt5_greedy_makes_all_decoders_the_leader_with_its_rate_and_moments(head, optimizer):
    before, after, best = updated(head, optimizer, spec("greedy"))
    for name, values in after.items():
        assert torch.equal(values, before[name][2:3].expand_as(values)), name
    assert best == 2


def test_greedy_before_the_first_step_of_the_optimizer_finds_no_moments(head):
    _, after, _ = updated(head, AdamW(head.parameters()), spec("greedy"))
    assert set(after) == set(head.own())


def test_greedy_leaves_what_all_decoders_share_alone(head, optimizer):
    shared = {name: values.clone() for name, values in head.state_dict().items() if name not in head.own()}
    updated(head, optimizer, spec("greedy", "perturb", "hyperperturb"))
    assert all(torch.equal(head.state_dict()[name], values) for name, values in shared.items())


def test_where_only_the_first_decoder_learns_it_keeps_its_moments(head, optimizer):
    before, after, _ = updated(head, optimizer, spec("greedy", "perturb", init=("freeze",)))
    for name in (name for name in after if " " in name):
        assert torch.equal(after[name], before[name])


def test_pt4_perturb_adds_noise_of_epsilon_p_deviations_to_all_but_the_first(head, optimizer):
    before, after, best = updated(head, optimizer, spec("perturb", epsilon_p=0.25))
    assert best == 2
    for name, values in before.items():
        if not is_parameter(name):
            assert torch.equal(after[name], values)  # rates and moments stay
            continue
        assert torch.equal(after[name][0], values[0])
        for k in range(1, K):
            noise, deviation = after[name][k] - values[k], values[k].std(correction=0).item()
            if values[k].numel() > 400:
                assert noise.std().item() == pytest.approx(0.25 * deviation, rel=0.15)
                assert abs(noise.mean()) < 0.05 * deviation
            assert noise.abs().max() < 5 * 0.25 * deviation
    noises = [(after[name] - before[name])[1:] for name in before if is_parameter(name)]
    assert all(not torch.allclose(noise[0], noise[1]) for noise in noises)


def test_pt6_after_greedy_and_perturb_the_first_is_exactly_the_leader_and_the_best(head, optimizer):
    before, after, best = updated(head, optimizer, spec("perturb", "greedy"))
    assert best == 0
    for name in (name for name in after if is_parameter(name)):
        assert torch.equal(after[name][0], before[name][2])
        assert not any(torch.equal(after[name][k], before[name][2]) for k in range(1, K))
        assert not torch.equal(after[name][1], after[name][2])


def test_pt7_hyperperturb_moves_the_rates_of_all_but_the_leader_within_bounds(head, optimizer):
    before, after, best = updated(head, optimizer, spec("hyperperturb"))
    old, new = before["scorer.rates"], after["scorer.rates"]
    assert best == 2
    assert new[2] == old[2]
    assert all(new[k] != old[k] for k in (0, 1, 3))
    assert all(torch.equal(before[name], after[name]) for name in before if name != "scorer.rates")
    rates = []
    for seed in range(200):
        head.scorer.rates.copy_(old)
        rates.append(updated(head, optimizer, spec("hyperperturb", epsilon_h=0.5), seed=seed)[1]["scorer.rates"])
    moved = torch.stack(rates)[:, [0, 1, 3]]
    assert ((moved >= 0.0) & (moved < 1.0)).all()
    assert (moved == 0.0).any()
    assert (moved == HIGHEST_RATE).any()


def test_hyperperturb_has_the_scale_of_epsilon_h(head, optimizer):
    moves = []
    for seed in range(300):
        head.scorer.rates.fill_(0.5)
        after = updated(head, optimizer, spec("hyperperturb", epsilon_h=0.1), seed=seed)[1]
        moves += (after["scorer.rates"][[0, 1, 3]] - 0.5).tolist()
    assert np.std(moves) == pytest.approx(0.1, rel=0.1)


def test_in_hgd_all_have_the_leaders_weights_and_only_the_leader_its_rate(head, optimizer):
    before, after, best = updated(head, optimizer, spec("hyperperturb", "greedy"))
    assert best == 2
    for name in (name for name in after if is_parameter(name)):
        assert torch.equal(after[name], before[name][2:3].expand_as(after[name]))
    assert [bool(rate == before["scorer.rates"][2]) for rate in after["scorer.rates"]] == [False, False, True, False]


def test_with_all_three_the_first_is_the_exact_copy_rate_and_all(head, optimizer):
    before, after, best = updated(head, optimizer, spec("hyperperturb", "perturb", "greedy"))
    assert best == 0
    assert all(torch.equal(after[name][0], before[name][2]) for name in head.own())
    assert (after["scorer.rates"][1:] != after["scorer.rates"][0]).all()


def test_noise_follows_its_generator_and_torch_draws_nothing(head, optimizer):
    start, state = {name: values.clone() for name, values in head.state_dict().items()}, torch.get_rng_state()
    found = []
    for seed in (1, 1, 2):
        head.load_state_dict(start)
        found.append(updated(head, optimizer, spec("perturb", "hyperperturb"), seed=seed)[1])
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["scorer.outer.weight"], found[2]["scorer.outer.weight"])
    assert torch.equal(torch.get_rng_state(), state)
