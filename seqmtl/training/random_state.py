"""The random numbers that a process will draw."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class RandomState:
    """The generators of Python, NumPy and torch, on the CPU and on this process's accelerator."""

    def __init__(self, device: torch.device) -> None:
        """``device``: on which this process computes."""
        self._accelerator = None if device.type == "cpu" else torch.get_device_module(device)

    def state_dict(self) -> dict[str, Any]:
        """Where the generators stand."""
        _, numbers, position, *normal = np.random.get_state()
        state = {
            "python": random.getstate(),
            "numpy": [numbers.tolist(), position, *normal],  # type: ignore[union-attr]  # the legacy form is a tuple
            "torch": torch.get_rng_state(),
        }
        return state if self._accelerator is None else state | {"accelerator": self._accelerator.get_rng_state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        version, numbers, normal = state["python"]
        random.setstate((version, tuple(numbers), normal))
        np.random.set_state(("MT19937", *state["numpy"]))  # type: ignore[arg-type]  # the same tuple
        torch.set_rng_state(state["torch"])
        if self._accelerator is not None:
            self._accelerator.set_rng_state(state["accelerator"])
