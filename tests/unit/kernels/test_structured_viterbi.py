"""Structured Viterbi against enumeration, against the full Viterbi, and against the scheme itself."""

import itertools

import pytest
import torch

from seqmtl.kernels.crf import viterbi
from seqmtl.kernels.structured_viterbi import structured_viterbi
from seqmtl.labels.schemes import Scheme
from seqmtl.labels.structure import allowed_transitions, tag_structure

INVENTORIES = {
    "bio": (Scheme.BIO, ["O", "B-A", "I-A", "B-C", "I-C"]),
    "bio-unsorted": (Scheme.BIO, ["I-C", "B-A", "O", "I-A", "B-C"]),
    "bio-holes": (Scheme.BIO, ["B-V", "I-A", "O", "B-A", "B-C"]),
    "bio-unreachable": (Scheme.BIO, ["O", "B-A", "I-A", "I-C"]),
    "bioes": (Scheme.BIOES, ["B-A", "E-A", "I-A", "O", "S-A"]),
    "bioes-two": (Scheme.BIOES, ["B-A", "E-A", "O", "S-A", "B-C", "I-C", "E-C"]),
    "free": (None, ["NOUN", "VERB", "X"]),
}


@pytest.fixture(params=INVENTORIES.values(), ids=INVENTORIES)
def inventory(request):
    scheme, labels = request.param
    return labels, tag_structure(labels, scheme=scheme)


def random_log_probs(sentences, length, size, *, seed, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return (torch.randn(sentences, length, size, generator=draw, dtype=dtype) * 3).log_softmax(2)


def is_allowed(path, structure):
    start, transition, end = allowed_transitions(structure)
    steps = all(transition[source][target] for source, target in itertools.pairwise(path))
    return start[path[0]] and steps and end[path[-1]]


@pytest.mark.parametrize("seed", range(4))
def test_sr2_viterbi_equals_brute_force(inventory, seed):
    labels, structure = inventory
    lengths = (4, 2, 0, 1, 3)
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    log_probs = random_log_probs(len(lengths), 4, len(labels), seed=seed)
    found = structured_viterbi(log_probs, mask, structure)
    for b, length in enumerate(lengths):
        if length:
            paths = itertools.product(range(len(labels)), repeat=length)
            legal = [path for path in paths if is_allowed(path, structure)]
            best = max(legal, key=lambda path, b=b: sum(float(log_probs[b, t, label]) for t, label in enumerate(path)))
            assert found[b, :length].tolist() == list(best)
    assert (found[~mask] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_sr2_viterbi_equals_full_viterbi_with_constrained_transitions(inventory, seed):
    labels, structure = inventory
    log_probs = random_log_probs(16, 40, len(labels), seed=seed)
    lengths = torch.randint(1, 41, (16,), generator=torch.Generator().manual_seed(seed))
    mask = torch.arange(40) < lengths[:, None]
    start, transitions, end = (torch.tensor(allowed).double().log() for allowed in allowed_transitions(structure))
    assert torch.equal(
        structured_viterbi(log_probs, mask, structure), viterbi(log_probs, transitions, start, end, mask)
    )


def test_sr1_every_decoded_sequence_is_valid(inventory):
    labels, structure = inventory
    log_probs = random_log_probs(64, 30, len(labels), seed=11, dtype=torch.float32)
    lengths = torch.randint(1, 31, (64,), generator=torch.Generator().manual_seed(1))
    found = structured_viterbi(log_probs, torch.arange(30) < lengths[:, None], structure)
    assert all(is_allowed(row[:length].tolist(), structure) for row, length in zip(found, lengths, strict=True))


def test_sr1_a_best_sequence_that_is_valid_is_kept():
    labels = ["O", "B-A", "I-A"]
    path = torch.tensor([[1, 2, 0, 1, 1, 2]])
    log_probs = (torch.nn.functional.one_hot(path, 3) * 5.0).log_softmax(2)
    mask = torch.ones_like(path, dtype=torch.bool)
    assert torch.equal(structured_viterbi(log_probs, mask, tag_structure(labels, scheme=Scheme.BIO)), path)


def test_sr2_without_a_scheme_it_is_the_argmax():
    log_probs = random_log_probs(3, 9, 6, seed=2)
    mask = torch.ones(3, 9, dtype=torch.bool)
    structure = tag_structure([f"label{i}" for i in range(6)], scheme=None)
    assert torch.equal(structured_viterbi(log_probs, mask, structure), log_probs.argmax(2))


def test_sr2_padding_is_never_read():
    log_probs = random_log_probs(3, 6, 3, seed=3)
    mask = torch.arange(6) < torch.tensor([6, 2, 0])[:, None]
    structure = tag_structure(["O", "B-A", "I-A"], scheme=Scheme.BIO)
    clean = structured_viterbi(log_probs, mask, structure)
    assert torch.equal(structured_viterbi(log_probs.masked_fill(~mask[..., None], torch.nan), mask, structure), clean)


def test_sr2_rows_without_words_alone():
    structure = tag_structure(["O", "B-A", "I-A"], scheme=Scheme.BIO)
    found = structured_viterbi(torch.zeros(2, 3, 3), torch.zeros(2, 3, dtype=torch.bool), structure)
    assert torch.equal(found, torch.zeros(2, 3, dtype=torch.long))
