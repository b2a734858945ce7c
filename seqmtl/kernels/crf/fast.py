"""The log-likelihood of a linear-chain CRF with its gradient written out.

Letters: K decoders, B sentences, T words, L labels, N real words of the batch. Transitions are [from, to].

Sentences are sorted by length and padding is left out, as in a packed sequence: nothing at a padded position is ever
read. If the chains of ``partition`` lose every label sequence (none of them avoids the transitions of -1e4, say), if
their two directions do not agree, or if the labels have a score of ``-inf``, the result is taken from ``reference``.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from seqmtl.kernels.crf import partition, path, reference
from seqmtl.kernels.crf.partition import Chains
from seqmtl.kernels.crf.words import Words, packed, real_words, unpacked
from seqmtl.kernels.scripting import scripted


def log_likelihood(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, mask: Tensor
) -> Tensor:
    """Return the log-probability of ``labels``: their score less the log of the summed exponentiated scores of all.

    The gradient is analytic; it can be taken once, not twice (``create_graph=True``).

    Args:
        emissions: scores, [K, B, T, L]; a padded position may hold anything and gets a gradient of exactly 0.
        transitions: scores, [K, L, L] (from, to); ``-inf`` forbids.
        start: scores of the first label, [K, L].
        end: scores of the last label, [K, L].
        labels: label ids, [B, T] long; what stands at a padded position is ignored.
        mask: [B, T] bool, True = real word; right-padded, the first word always real.

    Returns:
        [K, B], natural logarithms, in the wider dtype of ``emissions`` and ``transitions``; ``-inf`` where the labels
        take a forbidden transition, nan where every label sequence does.

    Raises:
        AssertionError: a sentence has no word, or emissions, labels and mask differ in sentences or words.
    """
    assert emissions.shape[1:3] == labels.shape == mask.shape, (emissions.shape, labels.shape, mask.shape)
    scores = (emissions, transitions, start, end)
    value: Tensor = _LogLikelihood.apply(*scores, labels, real_words(mask))  # pyright: ignore[reportAssignmentType]
    if bool(value.isfinite().all()):
        return value
    return reference.log_likelihood(*scores, labels, mask)


class _LogLikelihood(torch.autograd.Function):
    """Forward runs the chains of both directions, nan where they disagree; backward turns them into marginals."""

    @staticmethod
    def forward(
        ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, words: Words
    ) -> Tensor:
        run = _scripts()[0] if emissions.is_cpu else _forward
        value, *saved = run(emissions, transitions, start, end, labels, words)
        ctx.save_for_backward(*saved)
        ctx.words, ctx.shape = words, emissions.shape
        ctx.dtypes = emissions.dtype, transitions.dtype
        return value

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # torch's once_differentiable would let a second derivative through as 0
        assert not torch.is_grad_enabled(), "this gradient has no gradient of its own: take log_likelihood of reference"
        labels, *chains = ctx.saved_tensors
        run = _scripts()[1] if grad_outputs[0].is_cpu else _backward
        _, sentences, length, size = ctx.shape
        of_words, *of_chain = run(grad_outputs[0], labels, Chains(*chains), ctx.words, size, *ctx.dtypes)
        return unpacked(of_words, ctx.words, sentences=sentences, length=length), *of_chain, None, None


@cache
def _scripts() -> tuple[Any, Any]:
    """Both ways without the interpreter; for CPUs, since on a GPU torch would try and fuse what it runs so."""
    return scripted(_forward), scripted(_backward)


def _forward(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, labels: Tensor, words: Words
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The value [K, B], and what the gradient reads: labels of the words [N], and the parts of the chains."""
    scores, labels = packed(emissions, words), labels.flatten().index_select(0, words.places)  # [K, N, L], [N]
    both, chains = partition.partition(scores, transitions, start, end, words)  # [2, K, B]
    total = torch.where((both[0] - both[1]).abs() < 1e-6, both[0], float("nan"))  # [K, B]
    value = path.score(scores, transitions, start, end, labels, words) - total  # [K, B]
    value = value.to(torch.promote_types(emissions.dtype, transitions.dtype))
    # Not the chains as they are: for each named tuple that TorchScript returns it makes a class, in 0.2 ms.
    return value, labels, chains.weights, chains.matrix, chains.states, chains.norms


def _backward(
    upstream: Tensor,
    labels: Tensor,
    chains: Chains,
    words: Words,
    size: int,
    dtype: torch.dtype,
    chain_dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of emissions [K, N, L], transitions [K, L, L], start and end [K, L] from [K, B]."""
    of_words = upstream.index_select(1, words.sentences)  # [K, N]
    emissions, transitions, start, end = partition.gradients(-of_words, chains, words, size=size)
    emissions, transitions = emissions.to(dtype), transitions.to(chain_dtype)
    start, end = start.to(chain_dtype), end.to(chain_dtype)
    path.add_gradients(of_words, labels, words, emissions, transitions, start, end)
    return emissions, transitions, start, end
