"""Successive regularisation (Hashimoto et al., EMNLP 2017, section 3)."""

from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn


class SuccessiveRegularisation:
    """``delta * |theta - theta'|^2``: parameters stay near an anchor ``theta'``, a frozen copy of what they once were.

    ``delta`` is larger for classifiers. Deviation: the paper adds this to losses that are sums over words, we to means,
    so that the same ``delta`` pulls as many times harder here as there are words in a step.
    """

    def __init__(self, *, delta: float, classifier_delta: float) -> None:
        """Without an anchor there is nothing to stay near."""
        self.delta = delta
        self.classifier_delta = classifier_delta
        self._anchored: list[tuple[float, nn.Parameter, Tensor]] = []

    def anchor(self, parameters: Iterable[nn.Parameter], *, classifiers: Iterable[nn.Parameter]) -> None:
        """Copy ``parameters`` as they are now, instead of what was copied before; ``classifiers`` says which are such.

        What does not learn, or has a weight of 0, is left out.
        """
        self._anchor(parameters, classifiers=classifiers, at=lambda p: p.detach().clone())

    def anchor_at(self, anchors: Mapping[nn.Parameter, Tensor], *, classifiers: Iterable[nn.Parameter]) -> None:
        """Anchor parameters at what ``anchors`` gave when they were."""
        self._anchor(anchors, classifiers=classifiers, at=lambda p: anchors[p].to(p.device))

    def anchors(self) -> dict[nn.Parameter, Tensor]:
        """Where each parameter that is anchored is held."""
        return {p: anchor for _, p, anchor in self._anchored}

    def _anchor(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        classifiers: Iterable[nn.Parameter],
        at: Callable[[nn.Parameter], Tensor],
    ) -> None:
        of_classifiers = {id(p) for p in classifiers}
        weights = {p: self.classifier_delta if id(p) in of_classifiers else self.delta for p in parameters}
        self._anchored = [(weight, p, at(p)) for p, weight in weights.items() if weight > 0.0 and p.requires_grad]

    def term(self) -> Tensor | None:
        """The penalty, a scalar; None when nothing is anchored."""
        if not self._anchored:
            return None
        return torch.stack([weight * (p - anchor).square().sum() for weight, p, anchor in self._anchored]).sum()
