"""Copies of a model in which some modules are others."""

import copy
from collections.abc import Callable
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def with_replaced(model: Model, replace: Callable[[nn.Module], nn.Module | None]) -> Model:
    """A copy of ``model`` with ``replace`` of each module inside it in its place; None: it stays.

    All parameters and buffers are shared with ``model``, not copied.
    """
    shared = {id(values): values for values in (*model.parameters(), *model.buffers())}
    copied = copy.deepcopy(model, shared)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if (other := replace(child)) is not None:
                setattr(module, name, other)
    return copied
