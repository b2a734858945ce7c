"""Whether a kernel may take a tensor into its own hands."""

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter


def is_plain_float32(*tensors: Tensor) -> bool:
    """Whether these are float32 in the memory of a CPU, and nobody watches what is done to them.

    Whoever traces (``torch.jit.trace``, ``torch.compile``, ``torch.export``), transforms (``torch.func``), takes
    derivatives forwards or brings a subclass of ``Tensor`` expects torch's own operators, and finds them.
    """
    return (
        all(t.is_cpu and t.dtype == torch.float32 and type(t) in (Tensor, Parameter) for t in tensors)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        and not torch._C._are_functorch_transforms_active()  # as autograd.Function asks; there is no public name
        and all(forward_ad.unpack_dual(t).tangent is None for t in tensors)
    )
