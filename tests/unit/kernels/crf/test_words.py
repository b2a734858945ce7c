"""Real words without padding."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.kernels.crf.words import last_words, n_sentences, packed, real_words, unpacked

LENGTHS = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def mask_of(lengths, *, spare=0):
    return torch.arange(max(lengths) + spare) < torch.tensor(lengths)[:, None]


@given(LENGTHS, st.integers(0, 2))
def test_words_equal_those_of_plain_lists(lengths, spare):
    words = real_words(mask_of(lengths, spare=spare))
    order = sorted(range(len(lengths)), key=lambda b: -lengths[b])
    plain = [(t, b) for t in range(max(lengths)) for b in order if t < lengths[b]]
    at = {pair: i for i, pair in enumerate(plain)}
    assert words.sizes == [sum(length > t for length in lengths) for t in range(max(lengths))]
    assert words.sentences.tolist() == [b for _, b in plain]
    assert words.places.tolist() == [b * (max(lengths) + spare) + t for t, b in plain]
    assert words.mirror.tolist() == [at[lengths[b] - 1 - t, b] for t, b in plain]
    assert words.before.tolist() == [at[t - 1, b] for t, b in plain if t]
    assert n_sentences(words) == len(lengths)
    assert last_words(words).tolist() == [at[lengths[b] - 1, b] for b in order]


@given(LENGTHS)
def test_unpacked_puts_back_what_packed_took(lengths):
    mask = mask_of(lengths, spare=1)
    states = torch.rand(2, *mask.shape, 3)
    words = real_words(mask)
    back = unpacked(packed(states, words), words, sentences=mask.shape[0], length=mask.shape[1])
    assert torch.equal(back, states * mask[:, :, None])
