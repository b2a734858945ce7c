"""The log-partition over packed words by matrix products, with its gradient written out.

Letters: K decoders, B sentences, N real words of the batch, L labels, W = L rounded up to a multiple of 8 (which the
matrix products like better). Transitions are [from, to].

A chain is ``p_t = (p_(t-1) @ E) * e_t``, where ``E`` are the exponentiated transitions, ``e_t`` the exponentiated
emissions, and every fourth ``p_t`` is divided by its sum; the logarithms of the sums add up to the log-partition
(Rabiner 1989, section V.A). The backward algorithm is the same chain over the reversed sentence with ``E`` transposed,
so both run as one batch of 2K chains. Their products are the marginals, which are the gradient; no autograd runs
through the loop, and the gradient of the transitions is one matrix product over all words.

The chains run in float64 whatever the dtype of the scores: with the maxima taken out of emissions and transitions, it
spans e^-708 to 1, so that peaked scores and transitions of -1e4 or -inf need no logarithm inside the loop. float32
spans e^-87, which scores with a standard deviation of 30 exceed, and its products are at most twice as fast.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from seqmtl.kernels.crf.words import Words, last_words, n_sentences


class Chains(NamedTuple):
    """What the gradient reads."""

    weights: Tensor  # of each word and label, [K, N, W]; tiny where they were 0
    matrix: Tensor  # E, [K, W, W]
    states: Tensor  # of both directions, [2K, N, W]
    norms: Tensor  # what the states were divided by, [K, N, 1]


def partition(
    emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, words: Words
) -> tuple[Tensor, Chains]:
    """The log-partition by each direction, [2, K, B], and the chains, of emissions [K, N, L].

    The two agree unless one of them has lost what the other one kept: a prefix of labels that lies too far (some
    e^-500) below the best prefix of the same length is taken for impossible.
    """
    weights, heights = _weights(emissions, start, end, words)  # [2K, N, W], [K, N, 1]
    matrix, peaks = _matrix(transitions, width=weights.shape[2])  # [2K, W, W], [K, 1, 1]
    states, norms = _scan(weights, matrix, words.sizes, normalise_every=4)  # [2K, N, W], [2K, N, 1]
    weights.clamp_min_(1e-300)  # from here on they only divide what they have multiplied
    decoders, n, last = emissions.shape[0], n_sentences(words), last_words(words)
    heights[:, n:] += peaks  # the first words take no transition
    logs = norms.log().index_add_(1, last, states.index_select(1, last).sum(2, keepdim=True).log_())  # [2K, N, 1]
    logs = (logs.unflatten(0, [2, decoders]) + heights).squeeze(3)  # [2, K, N]
    values = logs.new_zeros([2, decoders, n]).index_add_(2, words.sentences, logs)  # [2, K, B]
    return values, Chains(weights[:decoders], matrix[:decoders], states, norms[:decoders])


def gradients(upstream: Tensor, chains: Chains, words: Words, *, size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of emissions [K, N, L], transitions [K, L, L], start and end [K, L].

    Args:
        upstream: gradient of the log-partition of each word's sentence, [K, N].
        chains: of ``partition``.
        words: where they are.
        size: L.
    """
    decoders, n = upstream.shape[0], n_sentences(words)
    prefixes, futures = chains.states[:decoders], chains.states[decoders:].index_select(1, words.mirror)  # [K, N, W]
    # Both hold the weight of the word itself, which counts once. Where it was 0, so is the prefix.
    marginals = (prefixes / chains.weights).mul_(futures)  # [K, N, W], up to the scale of each word
    scale = upstream.to(marginals.dtype).unsqueeze(2) / marginals.sum(2, keepdim=True)  # [K, N, 1]
    marginals.mul_(scale)
    futures.mul_(scale.div_(chains.norms))
    before = prefixes.index_select(1, words.before)  # [K, N - B, W]
    # The marginals of neighbouring labels, summed over all words by one product of [W, N - B] and [N - B, W].
    pairs = before.transpose(1, 2).bmm(futures[:, n:]).mul_(chains.matrix)  # [K, W, W]
    marginals = marginals[:, :, :size]
    last = marginals.index_select(1, last_words(words))  # [K, B, L]
    return marginals, pairs[:, :size, :size], marginals[:, :n].sum(1), last.sum(1)


def _weights(emissions: Tensor, start: Tensor, end: Tensor, words: Words) -> tuple[Tensor, Tensor]:
    """Exponentiate the scores of the words: weights in 0..1 [2K, N, W], and the maxima taken out [K, N, 1].

    Start and end scores are those of the first and the last word, so that the chains need not know of them.
    """
    decoders, count, size = emissions.shape[0], emissions.shape[1], emissions.shape[2]
    width = (size + 7) // 8 * 8
    weights = torch.empty([2 * decoders, count, width], dtype=torch.float64, device=emissions.device)
    scores, last = weights[:decoders], last_words(words)  # a view, exponentiated in place
    scores[:, :, size:] = -float("inf")
    scores[:, :, :size] = emissions
    scores[:, : last.shape[0], :size] += start[:, None]
    scores[:, :, :size].index_add_(1, last, end[:, None].expand(-1, last.shape[0], -1).to(scores.dtype))
    heights = _finite(scores.amax(2, keepdim=True))
    scores.sub_(heights).exp_()
    torch.index_select(scores, 1, words.mirror, out=weights[decoders:])
    return weights, heights


def _matrix(transitions: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
    """Exponentiate the transitions, both ways: weights in 0..1 [2K, W, W], and the maxima taken out [K, 1, 1]."""
    decoders, size = transitions.shape[0], transitions.shape[1]
    scores = transitions.double()
    peaks = _finite(scores.amax([1, 2], keepdim=True))
    matrix = scores.new_zeros([2 * decoders, width, width])
    torch.exp(scores - peaks, out=matrix[:decoders, :size, :size])
    matrix[decoders:] = matrix[:decoders].transpose(1, 2)
    return matrix, peaks


def _finite(maxima: Tensor) -> Tensor:
    """Return ``maxima`` with 0 for ``-inf``: where everything is forbidden there is nothing to take out."""
    return maxima.masked_fill_(maxima.isneginf(), 0)


def _scan(weights: Tensor, matrix: Tensor, sizes: list[int], *, normalise_every: int) -> tuple[Tensor, Tensor]:
    """Run the chains: weights of the last label of each prefix [2K, N, W], and what they were divided by [2K, N, 1].

    Between two normalisations a chain shrinks, which uses up some of the range; each of them costs a quarter of a step.
    """
    states, norms = torch.empty_like(weights), weights.new_ones([weights.shape[0], weights.shape[1], 1])
    of_words, after, sums = weights.split(sizes, 1), states.split(sizes, 1), norms.split(sizes, 1)
    previous = weights
    for t, size in enumerate(sizes):
        state = after[t]  # [2K, size, W]
        if t == 0:
            state.copy_(of_words[t])
        else:
            if size < sizes[t - 1]:
                previous = previous.narrow(1, 0, size)
            torch.mul(previous.bmm(matrix), of_words[t], out=state)
        if t % normalise_every == 0:
            torch.sum(state, [2], keepdim=True, out=sums[t])
            state.div_(sums[t])
        previous = state
    return states, norms
