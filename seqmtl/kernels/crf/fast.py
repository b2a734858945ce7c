"""The log-partition of a linear-chain CRF by matrix products, with its gradient written out.

Letters: K decoders, B sentences, T words, L labels, W = L rounded up to a multiple of 8 (which the matrix products
like better), N real words of the batch. Transitions are [from, to].

A chain is ``p_t = (p_(t-1) @ E) * e_t``, where ``E`` are the exponentiated transitions, ``e_t`` the exponentiated
emissions, and every fourth ``p_t`` is divided by its sum; the logarithms of the sums add up to the log-partition
(Rabiner 1989, section V.A). The backward algorithm is the same chain over the reversed sentence with ``E`` transposed,
so both run as one batch of 2K chains. Their products are the marginals, which are the gradient; no autograd runs
through the loop, and the gradient of the transitions is one matrix product over all words.

The chains run in float64 whatever the dtype of the scores: with the maxima taken out of emissions and transitions, it
spans e^-708 to 1, so that peaked scores and transitions of -1e4 or -inf need no logarithm inside the loop. float32
spans e^-87, which scores with a standard deviation of 30 exceed, and its products are at most twice as fast.
A prefix of labels that lies too far below the best prefix of the same length (some e^-500) is lost. If that loses all
of them (no label sequence avoids the transitions of -1e4, say), or if the two directions do not agree on the
log-partition (one of them lost what the other one kept), the result is taken from ``reference``.

Sentences are sorted by length and padding is left out, as in a packed sequence: step t handles the sentences that reach
it, and nothing at a padded position is ever read.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from seqmtl.kernels.crf import reference

# Between two normalisations a chain shrinks, which uses up some of the range; each of them costs a quarter of a step.
_NORMALISE_EVERY = 4


def log_partition(emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, mask: Tensor) -> Tensor:
    """Return the log of the summed exponentiated scores of all label sequences.

    The gradient is analytic; it can be taken once, not twice (``create_graph=True``).

    Args:
        emissions: scores, [K, B, T, L]; a padded position may hold anything and gets a gradient of exactly 0.
        transitions: scores, [K, L, L] (from, to); ``-inf`` forbids.
        start: scores of the first label, [K, L].
        end: scores of the last label, [K, L].
        mask: [B, T] bool, True = real word; right-padded, the first word always real.

    Returns:
        [K, B], natural logarithms, in the wider dtype of ``emissions`` and ``transitions``.
    """
    value: Tensor = _LogPartition.apply(emissions, transitions, start, end, _packed(mask))  # pyright: ignore[reportAssignmentType]
    if bool(value.isfinite().all()):
        return value
    return reference.log_partition(emissions, transitions, start, end, mask)


class _Words(NamedTuple):
    """Where the real words are: sentences go from long to short, words by number, then by sentence."""

    sizes: list[int]  # for every t, how many sentences have a word number t
    sentences: Tensor  # [N], sentence of each word
    places: Tensor  # [N], index of each word into the B * T positions
    mirror: Tensor  # [N], index into N of the word as far from the end as this one is from the start
    before: Tensor  # [N - B], index into N of the word before, for all words but the first ones


def _packed(mask: Tensor) -> _Words:
    lengths, order = mask.sum(1).sort(descending=True, stable=True)
    words = mask.sum(0)
    sizes = [size for size in words.tolist() if size]
    assert sizes[0] == len(mask), "every sentence needs at least one word"
    times, ranks = mask[order].T.nonzero(as_tuple=True)
    offsets = words.cumsum(0) - words
    mirror = offsets[lengths[ranks] - 1 - times] + ranks
    before = offsets[times[len(mask) :] - 1] + ranks[len(mask) :]
    sentences = order[ranks]
    return _Words(sizes, sentences, sentences * mask.shape[1] + times, mirror, before)


class _LogPartition(torch.autograd.Function):
    """Forward runs the chains of both directions, nan where they disagree; backward turns them into marginals."""

    @staticmethod
    def forward(ctx: Any, emissions: Tensor, transitions: Tensor, start: Tensor, end: Tensor, words: _Words) -> Tensor:
        weights, heights = _weights(emissions, start, end, words)  # [2K, N, W], [K, N, 1]
        matrix, peaks = _matrix(transitions, width=weights.shape[2])  # [2K, W, W], [K, 1, 1]
        states, norms = _scan(weights, matrix, words.sizes)  # [2K, N, W], [2K, N, 1]
        decoders = len(emissions)
        ctx.save_for_backward(weights[:decoders], matrix[:decoders], states, norms[:decoders])
        ctx.words, ctx.shape = words, emissions.shape
        ctx.dtypes = [scores.dtype for scores in (emissions, transitions, start, end)]
        heights[:, words.sizes[0] :] += peaks  # the first words take no transition
        totals, last = norms.clone(), words.mirror[: words.sizes[0]]  # [2K, N, 1], [B]
        totals[:, last] *= states[:, last].sum(2, keepdim=True)
        logs = totals.log_().view(2, decoders, -1, 1) + heights  # [2, K, N, 1]
        value, check = _unpacked(logs.flatten(0, 1), words, emissions.shape).sum((2, 3)).chunk(2)  # [K, B] each
        value = torch.where((value - check).abs() < 1e-6, value, torch.nan)
        return value.to(torch.promote_types(emissions.dtype, transitions.dtype))

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        # torch's once_differentiable would let a second derivative through as 0
        assert not torch.is_grad_enabled(), "this gradient has no gradient of its own: take log_partition of reference"
        weights, matrix, states, norms = ctx.saved_tensors
        words: _Words = ctx.words
        decoders, *_, size = ctx.shape
        prefixes, futures = states[:decoders], states[decoders:].index_select(1, words.mirror)  # [K, N, W]
        # Both hold the weight of the word itself, which counts once. Where it is 0, so is the prefix.
        marginals = (prefixes / weights.clamp_min(1e-300)).mul_(futures)  # [K, N, W], up to the scale of each word
        upstream = grad_outputs[0].to(weights.dtype)[:, words.sentences, None]  # [K, N, 1]
        scale = upstream / marginals.sum(2, keepdim=True)  # [K, N, 1]
        marginals.mul_(scale)
        pairs = _pairs(prefixes, futures.mul_(scale.div_(norms)), matrix, words)[:, :size, :size]  # [K, L, L]
        marginals = marginals[..., :size]  # [K, N, L]
        first = marginals[:, : words.sizes[0]].sum(1)  # [K, L]
        last = marginals.index_select(1, words.mirror[: words.sizes[0]]).sum(1)  # [K, L]
        grads = (_unpacked(marginals.to(ctx.dtypes[0]), words, ctx.shape), pairs, first, last)
        return *(grad.to(dtype) for grad, dtype in zip(grads, ctx.dtypes, strict=True)), None


def _weights(emissions: Tensor, start: Tensor, end: Tensor, words: _Words) -> tuple[Tensor, Tensor]:
    """Exponentiate the scores of the real words: weights in 0..1 [2K, N, W], and the maxima taken out [K, N, 1].

    Start and end scores are those of the first and the last word, so that the chains need not know of them.
    """
    decoders, *_, size = emissions.shape
    width = -(-size // 8) * 8
    weights = emissions.new_empty(2 * decoders, len(words.places), width, dtype=torch.float64)
    scores = weights[:decoders]  # a view, exponentiated in place
    scores[..., size:] = -torch.inf
    scores[..., :size] = emissions.flatten(1, 2).index_select(1, words.places)
    first, last = scores[:, : words.sizes[0], :size], words.mirror[: words.sizes[0]]
    first += start[:, None]
    scores[:, last, :size] += end[:, None]
    heights = _finite(scores.amax(2, keepdim=True))
    scores.sub_(heights).exp_()
    torch.index_select(scores, 1, words.mirror, out=weights[decoders:])
    return weights, heights


def _matrix(transitions: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
    """Exponentiate the transitions, both ways: weights in 0..1 [2K, W, W], and the maxima taken out [K, 1, 1]."""
    decoders, size, _ = transitions.shape
    scores = transitions.double()
    peaks = _finite(scores.amax((1, 2), keepdim=True))
    matrix = scores.new_zeros(2 * decoders, width, width)
    torch.exp(scores - peaks, out=matrix[:decoders, :size, :size])
    matrix[decoders:] = matrix[:decoders].transpose(1, 2)
    return matrix, peaks


def _finite(maxima: Tensor) -> Tensor:
    """Return ``maxima`` with 0 for ``-inf``: where everything is forbidden there is nothing to take out."""
    return maxima.masked_fill_(maxima.isneginf(), 0)


def _scan(weights: Tensor, matrix: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
    """Run the chains: weights of the last label of each prefix [2K, N, W], and what they were divided by [2K, N, 1]."""
    states, norms = torch.empty_like(weights), weights.new_ones(*weights.shape[:2], 1)
    steps = zip(weights.split(sizes, 1), states.split(sizes, 1), norms.split(sizes, 1), strict=True)
    previous: Tensor | None = None
    for t, (weight, state, norm) in enumerate(steps):
        if previous is None:
            state.copy_(weight)
        else:
            torch.mul(previous.narrow(1, 0, sizes[t]).bmm(matrix), weight, out=state)
        if t % _NORMALISE_EVERY == 0:
            torch.sum(state, 2, keepdim=True, out=norm)
            state.div_(norm)
        previous = state
    return states, norms


def _pairs(prefixes: Tensor, futures: Tensor, matrix: Tensor, words: _Words) -> Tensor:
    """Sum the marginals of neighbouring labels over all words, [K, W, W]: one product of [W, N - B] and [N - B, W]."""
    before = prefixes.index_select(1, words.before)  # [K, N - B, W]
    return before.transpose(1, 2).bmm(futures[:, words.sizes[0] :]).mul_(matrix)


def _unpacked(packed: Tensor, words: _Words, shape: torch.Size) -> Tensor:
    """Put words back into their places, [K, N, X] -> [K, B, T, X] (or 2K), with 0 where padded."""
    _, sentences, length, _ = shape
    places = packed.new_zeros(len(packed), sentences * length, packed.shape[2])
    return places.index_copy_(1, words.places, packed).view(len(packed), sentences, length, -1)
