"""States of several processes, simulated; those of real runs are in test_going_on.py."""

import re
from types import SimpleNamespace

import pytest
import torch

from seqmtl.errors import TrainingError
from seqmtl.training.states import States


def process(rank, *, failed=0.0):
    """A process of two; ``failed`` is what the other one says."""
    return SimpleNamespace(
        process_index=rank,
        is_main_process=rank == 0,
        device=torch.device("cpu"),
        reduce=lambda mine: mine + failed,
        wait_for_everyone=lambda: None,
    )


def test_each_process_writes_its_own_part_and_the_main_one_what_is_shared(tmp_path):
    second, first = (States(tmp_path, keep=1, accelerator=process(rank)) for rank in (1, 0))
    second.save(7, shared={"a": 2}, own={"b": torch.ones(1)})
    assert second.newest() is None  # not before the main process says so
    second.save(7, shared={"a": 2}, own={"b": torch.ones(1)})
    first.save(7, shared={"a": 1}, own={"b": torch.zeros(1)})
    state = second.newest()
    assert state == first.newest() == tmp_path / "state" / "step-00000007"
    assert second.read_shared(state) == {"a": 1}
    assert second.read_own(state) == {"b": torch.ones(1)}
    assert first.read_own(state) == {"b": torch.zeros(1)}


def test_what_one_process_cannot_write_no_process_has(tmp_path):
    States(tmp_path, keep=1, accelerator=process(0)).save(1, shared={}, own={})
    here = re.escape(str(tmp_path / "state"))
    with pytest.raises(TrainingError, match=f"^{here}: another process cannot write its part"):
        States(tmp_path, keep=1, accelerator=process(0, failed=1.0)).save(2, shared={}, own={})
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-00000001"]


def test_only_whole_states_are_found_in_order(tmp_path):
    states = States(tmp_path, keep=9, accelerator=process(0))
    assert states.all() == []
    assert states.newest() is None
    for step in (10, 9, 100_000_000):
        states.save(step, shared={}, own={})
    for name in (".aside-step-00000011", "step-00000012.part", "notes"):
        (tmp_path / "state" / name).mkdir()
    assert [path.name for path in states.all()] == ["step-00000009", "step-00000010", "step-100000000"]
    assert states.newest() == tmp_path / "state" / "step-100000000"
    states.clear()
    assert list(tmp_path.iterdir()) == []
    states.clear()
