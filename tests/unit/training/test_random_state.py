"""The same numbers are drawn again."""

import random

import numpy as np
import torch

from seqmtl.training.random_state import RandomState
from seqmtl.training.record import read_record, write_record


def draw():
    return [
        *(random.gauss(0, 1) for _ in range(3)),  # every other one is kept for later
        *np.random.normal(size=3).tolist(),
        *torch.randn(3).tolist(),
        *torch.rand(20).tolist(),
    ]


def test_what_was_drawn_after_a_state_is_drawn_after_loading_it(tmp_path):
    draw()
    state = RandomState(torch.device("cpu"))
    write_record(tmp_path / "it", state.state_dict())
    first = draw()
    assert draw() != first
    state.load_state_dict(read_record(tmp_path / "it"))
    assert draw() == first


def test_an_accelerator_has_numbers_of_its_own(monkeypatch):
    class Module:
        state = torch.tensor([1, 2, 3], dtype=torch.uint8)

        def get_rng_state(self):
            return self.state

        def set_rng_state(self, state):
            self.state = state

    module = Module()
    monkeypatch.setattr(torch, "get_device_module", {torch.device("cuda:1"): module}.get)
    state = RandomState(torch.device("cuda:1"))
    saved = state.state_dict()
    module.state = torch.zeros(3, dtype=torch.uint8)
    state.load_state_dict(saved)
    assert module.state.tolist() == [1, 2, 3]
