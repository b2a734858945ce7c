"""Difference and reconstruction of domain separation networks: METHODS.md section 1.5."""

import numpy as np
import pytest
import torch
from torch import Tensor

from seqmtl.sharing.domain_separation import Reconstruction, difference

WORDS = torch.tensor([[True, True, False], [True, True, True]])


def by_numpy(shared: Tensor, private: Tensor, *, normalise: bool) -> float:
    """``difference`` as its definition says, entry by entry."""
    s, h = (states[WORDS].double().numpy() for states in (shared, private))
    if normalise:
        s, h = s - s.mean(axis=0), h - h.mean(axis=0)
        s, h = (rows / np.sqrt((rows**2).sum(axis=1))[:, None] for rows in (s, h))
    entries = [float(np.dot(s[:, i], h[:, j])) for i in range(s.shape[1]) for j in range(h.shape[1])]
    squares = [entry**2 for entry in entries]
    return sum(squares) / len(squares) if normalise else sum(squares)


def hadamard() -> Tensor:
    """Eight orthogonal columns of 1 and -1, all but the first with mean 0."""
    two = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
    return torch.kron(torch.kron(two, two), two)


@pytest.mark.parametrize("normalise", [True, False])
def test_difference_is_its_definition(normalise: bool):
    shared, private = torch.randn(2, 3, 4), torch.randn(2, 3, 6)
    found = difference(shared, private, words=WORDS, normalise=normalise)
    assert found.item() == pytest.approx(by_numpy(shared, private, normalise=normalise), rel=1e-5)


@pytest.mark.parametrize("normalise", [True, False])
def test_sp2_difference_is_0_for_orthogonal_blocks_and_not_for_others(normalise: bool):
    columns = hadamard().view(2, 4, 8)  # eight words
    words = torch.ones(2, 4, dtype=torch.bool)
    apart = difference(columns[..., 1:4], columns[..., 4:8], words=words, normalise=normalise)
    assert apart.item() == pytest.approx(0.0, abs=1e-10)
    mixed = columns[..., 4:8] + columns[..., 1:2]
    assert difference(columns[..., 1:4], mixed, words=words, normalise=normalise).item() > 0.1


@pytest.mark.parametrize("normalise", [True, False])
def test_words_that_do_not_count_have_no_part_in_the_difference(normalise: bool):
    shared, private = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4, requires_grad=True)
    loss = difference(shared, private, words=WORDS, normalise=normalise)
    for gradient in torch.autograd.grad(loss, [shared, private]):
        assert gradient[WORDS].any(dim=-1).all()
        assert not gradient[~WORDS].any()
    moved = [torch.where(WORDS[..., None], states, 5.0) for states in (shared, private)]
    assert torch.equal(difference(*moved, words=WORDS, normalise=normalise), loss)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("count", [0, 1])
def test_no_word_and_a_single_word_have_a_difference_with_finite_gradients(normalise: bool, count: int):
    shared, private = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4, requires_grad=True)
    words = torch.zeros(2, 3, dtype=torch.bool)
    words[0, :count] = True
    loss = difference(shared, private, words=words, normalise=normalise)
    assert (loss.item() == 0.0) == (count == 0 or normalise)  # a single word is its own mean
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(loss, [shared, private]))


@pytest.fixture
def decoder() -> Reconstruction:
    return Reconstruction(4, 5)


def test_the_reconstruction_error_is_that_of_equation_4(decoder: Reconstruction):
    shared, private, states = torch.randn(2, 3, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 5)
    off = (states - decoder.decoder(shared + private))[WORDS]  # [5, 5]
    # (1/k) |d|^2 - (1/k^2) (d . 1)^2 is half the mean of (d_i - d_j)^2 over all pairs of features.
    wanted = (off[:, :, None] - off[:, None, :]).square().mean(dim=(1, 2)) / 2
    torch.testing.assert_close(decoder(shared, private, states=states, words=WORDS), wanted.mean())


def test_an_offset_of_all_features_is_no_error(decoder: Reconstruction):
    shared, private = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    states = decoder.decoder(shared + private) + torch.randn(2, 3, 1)
    assert decoder(shared, private, states=states, words=WORDS).item() == pytest.approx(0.0, abs=1e-10)


def test_reconstruction_teaches_towers_and_decoder_and_leaves_its_target_alone(decoder: Reconstruction):
    tensors = [torch.randn(2, 3, size, requires_grad=True) for size in (4, 4, 5)]
    decoder(tensors[0], tensors[1], states=tensors[2], words=WORDS).backward()
    assert all(t.grad is not None and t.grad[WORDS].any() and not t.grad[~WORDS].any() for t in tensors[:2])
    assert tensors[2].grad is None
    assert all(p.grad is not None and p.grad.any() for p in decoder.parameters())


def test_without_words_there_is_no_error(decoder: Reconstruction):
    shared, states = torch.randn(2, 3, 4), torch.randn(2, 3, 5)
    assert decoder(shared, shared, states=states, words=torch.zeros(2, 3, dtype=torch.bool)).item() == 0.0
