"""Layers of all kinds to run the forms of the Meta-LSTM on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest
import torch
from torch import Tensor

from seqmtl.kernels.meta_lstm import BasicWeights, MetaWeights


@dataclass(frozen=True)
class Layer:
    """A layer's weights, and sentences for it."""

    inputs: Tensor
    mask: Tensor
    meta: MetaWeights
    basic: BasicWeights
    z_offset: float

    def tensors(self) -> list[Tensor]:
        """All that has a gradient."""
        return [self.inputs, *(part for part in (*self.meta, *self.basic) if part is not None)]

    def with_tensors(self, tensors: "tuple[Tensor, ...]") -> "Layer":
        """The same layer of other numbers."""
        inputs, gates, bias, *rest = tensors
        projection = rest.pop(0) if self.meta.projection is not None else None
        return Layer(inputs, self.mask, MetaWeights(gates, bias, projection), BasicWeights(*rest), self.z_offset)


def make(
    *,
    tasks: int = 2,
    directions: int = 2,
    shared_input: bool = True,
    shared_directions: bool = False,
    projected: bool = True,
    z_offset: float = 0.0,
    dtype: torch.dtype = torch.float64,
    sizes: tuple[int, int, int, int] = (5, 4, 3, 2),
    lengths: tuple[int, ...] = (6, 3, 0),
) -> Layer:
    """A layer with random weights; sizes are D, H, M and Z, which is M where z is not projected."""

    def random(*shape: int) -> Tensor:
        return (torch.randn(*shape, dtype=dtype) * 0.4).requires_grad_()

    d, h, m, z = sizes
    batch, words = len(lengths), max(lengths)
    n_z, metas = z if projected else m, 1 if shared_directions else directions
    return Layer(
        inputs=torch.randn(1 if shared_input else tasks, batch, words, d, dtype=dtype, requires_grad=True),
        mask=torch.arange(words) < torch.tensor(lengths)[:, None],
        meta=MetaWeights(
            random(metas, 4 * m, d + m + h), random(metas, 4 * m), random(metas, z, m) if projected else None
        ),
        basic=BasicWeights(
            random(tasks, directions, 4, h, n_z),
            random(tasks, directions, 4, n_z, d + h),
            random(tasks, directions, 4, h, n_z),
        ),
        z_offset=z_offset,
    )


def kinds() -> Iterator[dict[str, bool | int | float]]:
    """Settings that cover each pair of options."""
    for tasks, directions, flags in product((1, 3), (1, 2), range(4)):
        yield {
            "tasks": tasks,
            "directions": directions,
            "shared_input": flags % 2 == 0,
            "shared_directions": flags // 2 == 0,
            "projected": flags in (0, 3),
            "z_offset": 0.5 if flags in (1, 3) else 0.0,
        }


@pytest.fixture(params=list(kinds()), ids=lambda kind: "-".join(map(str, kind.values())))
def layer(request: pytest.FixtureRequest) -> Layer:
    """A layer of each kind."""
    return make(**request.param)


@pytest.fixture
def make_layer() -> Callable[..., Layer]:
    """How to make one."""
    return make
