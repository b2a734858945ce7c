import pytest
import torch

from seqmtl.heads.base import HeadLoss
from seqmtl.objectives.losses import Losses
from seqmtl.training.losses import RunningLosses


def alone(tensor):
    return tensor


def losses(**totals):
    found = {task: HeadLoss(torch.tensor(total), torch.tensor(1.0)) for task, total in totals.items()}
    return Losses(found, {})


def test_means_are_per_word_over_decoders_and_micro_batches():
    running = RunningLosses(["a", "b"], torch.device("cpu"))
    running.add(losses(a=[6.0, 2.0], b=[3.0]))  # two decoders of a: 4 on average
    running.add(losses(a=[2.0, 2.0], b=[0.0]))
    running.count({"a": 4, "b": 1})
    running.add(losses(a=[1.0, 1.0], b=[0.0]))
    running.count({"a": 1, "b": 0})
    assert running.take(sum_processes=alone) == {"a": pytest.approx(7 / 5), "b": pytest.approx(3.0)}


def test_losses_of_other_processes_are_added():
    running = RunningLosses(["a", "b"], torch.device("cpu"))
    running.add(losses(a=[6.0], b=[0.0]))
    running.count({"a": 8, "b": 2})  # of the whole step
    other = torch.tensor([10.0, 3.0])
    assert running.take(sum_processes=lambda mine: mine + other) == {"a": 2.0, "b": 1.5}


def test_taking_starts_again_and_leaves_out_tasks_without_words():
    running = RunningLosses(["a", "b"], torch.device("cpu"))
    running.add(losses(a=[1.0], b=[1.0]))
    running.count({"a": 1, "b": 1})
    running.take(sum_processes=alone)
    running.add(losses(a=[5.0], b=[0.0]))
    running.count({"a": 2, "b": 0})
    assert running.take(sum_processes=alone) == {"a": 2.5}


def test_a_task_whose_turn_it_is_not_adds_nothing():
    running = RunningLosses(["a", "b"], torch.device("cpu"))
    running.add(losses(a=[3.0]))
    running.count({"a": 2, "b": 0})
    running.add(losses(b=[4.0]))
    running.count({"a": 0, "b": 1})
    assert running.take(sum_processes=alone) == {"a": 1.5, "b": 4.0}


def test_losses_hold_no_graph():
    total = torch.ones(1, requires_grad=True)
    running = RunningLosses(["a"], torch.device("cpu"))
    running.add(Losses({"a": HeadLoss(total * 2, torch.tensor(1.0))}, {}))
    assert not running._totals.requires_grad


def test_penalties_are_means_over_micro_batches_and_processes_and_start_again():
    running = RunningLosses(["a"], torch.device("cpu"))
    assert running.take_penalties(sum_processes=alone) == {}
    for distance, adversary in [(1.0, 4.0), (2.0, 8.0)]:
        running.add(Losses({}, {"distance": torch.tensor(distance), "adversary": torch.tensor(adversary)}))
    other = torch.tensor([[6.0, 1.0], [3.0, 1.0]])  # sums and counts
    found = running.take_penalties(sum_processes=lambda mine: mine + other)
    assert found == {"distance": 3.0, "adversary": 5.0}
    running.add(Losses({}, {"distance": torch.tensor(7.0, requires_grad=True)}))
    assert running.take_penalties(sum_processes=alone) == {"distance": 7.0}
    assert running.take_penalties(sum_processes=alone) == {}
