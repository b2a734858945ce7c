"""Telling a network which task it works for: METHODS.md section 7."""

import pytest
import torch
from torch import nn

from seqmtl.layers.conditioning import Concatenation, FiLM, Gate, TaskMap

STATES, TASKS = torch.randn(2, 5, 4), torch.randn(3, 6)


def randomised(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module


def test_co1_film_starts_as_the_identity():
    film = FiLM(4, task_size=6)
    assert all(torch.equal(told, STATES) for told in film(STATES, TASKS))


def test_film_scales_and_shifts_each_feature():
    film = randomised(FiLM(4, task_size=6))
    told = film(STATES, TASKS)
    assert told.shape == (3, 2, 5, 4)
    for m, task in enumerate(TASKS):
        gamma = film.gamma.weight @ task + film.gamma.bias
        beta = film.beta.weight @ task + film.beta.bias
        for d in range(4):
            torch.testing.assert_close(told[m, :, :, d], gamma[d] * STATES[:, :, d] + beta[d])


def test_co2_concatenation_is_addition_after_a_linear_map():
    linear = nn.Linear(10, 3)
    told = linear(Concatenation(4, task_size=6)(STATES, TASKS))
    for_states, for_tasks = linear.weight[:, :4], linear.weight[:, 4:]
    for m, task in enumerate(TASKS):
        torch.testing.assert_close(told[m], STATES @ for_states.T + (for_tasks @ task + linear.bias))


@pytest.mark.parametrize(("squash", "start"), [(nn.Sigmoid(), 0.0), (nn.Identity(), 1.0)])
def test_a_gate_scales_each_feature(squash, start):
    gate = Gate(4, task_size=6, squash=squash, start=start)
    assert torch.equal(gate(STATES, TASKS), squash(torch.tensor(start)) * STATES.expand(3, -1, -1, -1))
    randomised(gate)
    told = gate(STATES, TASKS)
    for m, task in enumerate(TASKS):
        gates = squash(gate.gate.weight @ task + gate.gate.bias)
        torch.testing.assert_close(told[m], STATES * gates)
        torch.testing.assert_close(gate.gates(TASKS)[m], gates)


def test_co3_a_one_hot_gate_makes_independent_nets():
    """Three nets side by side, of which the gate of a task lets one through: a sum of them is that net alone."""
    nets = [nn.Linear(7, 4) for _ in range(3)]
    gate = Gate(12, task_size=3, squash=nn.Identity(), start=0.0)
    with torch.no_grad():
        gate.gate.weight.copy_(torch.eye(3).repeat_interleave(4, dim=0))  # feature d belongs to net d // 4
    inputs = torch.randn(2, 5, 7)
    side_by_side = torch.cat([net(inputs) for net in nets], dim=-1)
    told = gate(side_by_side, torch.eye(3))
    summed = told.unflatten(-1, (3, 4)).sum(dim=-2)  # a linear map, the same for all tasks
    for m, net in enumerate(nets):
        torch.testing.assert_close(summed[m], net(inputs))
        for other, weight in zip(
            range(3),
            torch.autograd.grad(summed[m].square().sum(), [net.weight for net in nets], retain_graph=True),
            strict=True,
        ):
            assert weight.any() == (other == m)


def test_a_task_map_can_be_started_again():
    task_map = randomised(TaskMap(6, 4, start=0.5))
    assert not torch.equal(task_map(TASKS), torch.full((3, 4), 0.5))
    task_map.reset_parameters()
    assert torch.equal(task_map(TASKS), torch.full((3, 4), 0.5))
