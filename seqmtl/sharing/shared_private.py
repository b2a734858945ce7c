"""A shared tower beside, or below, a private one of each task (Liu, Qiu and Huang, ACL 2017).

M tasks, B sentences, T words, D features of the encoder, S of the shared and P of a private tower.
"""

from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from seqmtl.batch import States, WordStates
from seqmtl.sharing.adversary import TaskAdversary
from seqmtl.sharing.base import Request, Sharing, SharingOutput, keep_modules
from seqmtl.sharing.domain_separation import Reconstruction, difference
from seqmtl.sharing.towers.base import Tower

PrivateInput = Literal["states", "concat", "shared_only"]


class Separation(nn.Module):
    """What keeps the shared and the private features of a task apart; every part of it may be left out.

    - ``adversary``: tells tasks apart by the shared features (ASP-MTL, equation 13), ``TaskAdversary``.
    - ``orthogonality``: ``gamma * sum_k |S^k' H^k|_F^2`` (equation 14), ``difference``. The rows of ``S^k`` and ``H^k``
      are the features of all real words of the sentences that carry task k.
    - ``reconstruction``: of what the towers read, by domain separation networks, ``Reconstruction``; over the same
      words, summed over tasks.

    These are means over, or products of, one micro-batch on one process: accumulation does not make them those of the
    whole step.
    """

    def __init__(
        self,
        *,
        adversary: TaskAdversary | None = None,
        orthogonality: float = 0.0,
        normalise: bool = True,
        decoder: Reconstruction | None = None,
        reconstruction: float = 0.0,
    ) -> None:
        """``orthogonality`` is gamma, ``reconstruction`` the weight of the error of ``decoder``."""
        super().__init__()
        self.adversary = adversary
        self.orthogonality = orthogonality
        self.normalise = normalise
        self.decoder = decoder
        self.reconstruction = reconstruction

    def forward(
        self, read: WordStates, *, shared: Tensor, private: Mapping[str, Tensor], rows: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The weighted penalties, by name.

        Args:
            read: the encoder's states of words, ``[B, T, D]``.
            shared: ``[B, T, S]``.
            private: ``{task: [B, T, P]}``.
            rows: the sentences that carry each of these tasks, bool ``[B]``.
        """
        words = {task: read.mask & rows[task][:, None] for task in private}  # [B, T]
        penalties = {}
        if self.adversary is not None:
            penalties["adversary"] = self.adversary(shared, read.mask, rows=rows)
        if self.orthogonality > 0.0:
            parts = [
                difference(shared, own, words=words[task], normalise=self.normalise) for task, own in private.items()
            ]
            penalties["orthogonality"] = self.orthogonality * torch.stack(parts).sum()
        if self.decoder is not None:
            parts = [self.decoder(shared, own, states=read.states, words=words[task]) for task, own in private.items()]
            penalties["reconstruction"] = self.reconstruction * torch.stack(parts).sum()
        return penalties


class SharedPrivate(Sharing):
    """Features of all tasks from one tower, features of one task from its own.

    What the private towers read makes the structure (names of Chen et al., AAAI 2018; METHODS.md section 1.5):

    - ``states``: parallel (PSP-MTL; SP-MTL in Liu et al. 2017, equations 8 and 9), ``h^s = F_s(x)``, ``h^k = F_k(x)``,
      and the head of task k reads ``[h^s; h^k]``.
    - ``concat``: stacked (SSP-MTL), ``h^k = F_k([x; h^s])``, and the head reads ``h^k``.
    - ``shared_only``: stacked on ``h^s`` alone, which is what the sizes that Chen et al. report amount to.

    With an adversary and orthogonality the parallel structure is ASP-MTL (Liu et al. 2017); with reconstruction as well
    it is a domain separation network (Bousmalis et al. 2016) for many tasks instead of two domains.

    Deviations: the papers have one LSTM, here a tower is of any depth, of BiLSTM layers or, where it reads the
    encoder's states, of transformer blocks. In domain separation networks the classifier reads ``h^s`` alone.
    """

    def __init__(
        self,
        shared: Tower,
        private: Mapping[str, Tower],
        *,
        private_input: PrivateInput,
        separation: Separation,
    ) -> None:
        """One tower for all tasks and one for each, all of these of one shape."""
        super().__init__()
        self.shared = shared
        self.private = nn.ModuleDict(private)
        self.private_input: PrivateInput = private_input
        self.separation = separation
        (width,) = {tower.out_features for tower in private.values()}
        self.out_features = width + (shared.out_features if private_input == "states" else 0)

    def forward(self, states: States, request: Request) -> SharingOutput:
        """Features of the wanted tasks, whose private towers alone are run; and, in training, what separates them."""
        at_shared = self.shared.enter(states)
        shared = self.shared(at_shared)  # [B, T, S]
        read = at_shared.words()  # once: each pooling of pieces draws a dropout mask of its own
        towers = {task: self.private[task] for task in request.tasks}
        below = states if self.private_input == "states" else self._stacked(read, shared)
        entered = next(iter(towers.values())).enter(below)  # type: ignore[operator]
        private = {task: tower(entered) for task, tower in towers.items()}  # [B, T, P]
        features = private
        if self.private_input == "states":
            features = {task: torch.cat((shared, own), dim=-1) for task, own in private.items()}  # [B, T, S + P]
        if not self.training or not request.rows:
            return SharingOutput(features)
        return SharingOutput(features, self.separation(read, shared=shared, private=private, rows=request.rows))

    def serving(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The shared tower, those of ``tasks``, and what separates them: every labelled sentence teaches that."""
        private = [p for task in tasks for p in self.private[task].parameters()]
        return [*self.shared.parameters(), *private, *self.separation.parameters()]

    def keep(self, tasks: Collection[str]) -> None:
        """Drop the private towers of other tasks."""
        keep_modules(self.private, tasks)

    def _stacked(self, read: WordStates, shared: Tensor) -> WordStates:
        """What stacked private towers read, given the shared features ``[B, T, S]``."""
        parts = (read.states, shared) if self.private_input == "concat" else (shared,)
        return WordStates(torch.cat(parts, dim=-1), read.mask)
