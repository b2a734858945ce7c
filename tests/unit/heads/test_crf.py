"""The CRF head against the enumeration of all label sequences."""

from itertools import product

import pytest
import torch
from torch import Tensor

from seqmtl.batch import IGNORED, TokenTargets
from seqmtl.heads.crf import CRFHead
from seqmtl.labels import Scheme, TagStructure, tag_structure, violations

LABELS = ("O", "B-A", "I-A")
STRUCTURE = tag_structure(LABELS, scheme=Scheme.BIO)
LENGTHS = [4, 0, 1, 3]
MASK = torch.arange(4) < torch.tensor(LENGTHS)[:, None]
GOLD = [[1, 2, 0, 1], [], [0], [0, 1, 2]]


def head_of(structure: TagStructure | None, *, decoders: int = 2) -> CRFHead:
    head = CRFHead(5, len(LABELS), structure=structure, decoders=decoders)
    for parameter in (head.transitions, head.start, head.end):
        torch.nn.init.normal_(parameter)
    return head


def targets() -> TokenTargets:
    rows = torch.tensor([0, 1, 3])  # sentence 2 does not carry the layer
    labels = torch.full((3, 4), IGNORED)
    for row, number in zip(labels, rows.tolist(), strict=True):
        row[: LENGTHS[number]] = torch.tensor(GOLD[number], dtype=torch.long)
    return TokenTargets(rows, labels)


def score(head: CRFHead, scores: Tensor, path: tuple[int, ...], k: int) -> Tensor:
    """The score of one path over ``scores`` ``[T, L]``."""
    total = head.start[k, path[0]] + head.end[k, path[-1]] + scores[0, path[0]]
    for t in range(1, len(path)):
        total = total + head.transitions[k, path[t - 1], path[t]] + scores[t, path[t]]
    return total


def paths(length: int, *, valid: bool) -> list[tuple[int, ...]]:
    every = product(range(len(LABELS)), repeat=length)
    return [p for p in every if not valid or not violations([LABELS[i] for i in p], scheme=Scheme.BIO)]


@pytest.mark.parametrize("structure", [None, STRUCTURE], ids=["free", "constrained"])
def test_the_loss_is_the_brute_force_negative_log_likelihood(structure: TagStructure | None):
    head, features = head_of(structure), torch.randn(4, 4, 5)
    scores = head.scores(features, MASK)  # [K, B, T, L]
    expected = []
    for k in range(2):
        surprise = torch.zeros(())
        for b in (0, 3):
            inside = scores[k, b, : LENGTHS[b]]
            all_scores = [score(head, inside, path, k) for path in paths(LENGTHS[b], valid=structure is not None)]
            surprise = surprise + torch.stack(all_scores).logsumexp(0) - score(head, inside, tuple(GOLD[b]), k)
        expected.append(surprise)
    total, parameters = torch.stack(expected), list(head.parameters())
    loss = head(features, MASK, targets())
    torch.testing.assert_close(loss.total, total, atol=1e-4, rtol=1e-4)
    assert loss.count == 7
    ours = torch.autograd.grad(loss.total.sum(), parameters)
    theirs = torch.autograd.grad(total.sum(), parameters)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("structure", [None, STRUCTURE], ids=["free", "constrained"])
def test_decoding_is_the_brute_force_best_path_of_its_decoder(structure: TagStructure | None):
    head = head_of(structure)
    scores = 3 * head.scores(torch.randn(4, 4, 5), MASK).detach()
    for k in range(2):
        decoded = head.decode(scores[k], MASK, decoder=k)
        for b, length in enumerate(LENGTHS):
            best = ()
            if length:
                allowed = paths(length, valid=structure is not None)
                best = max(allowed, key=lambda path: score(head, scores[k, b], path, k).item())
            assert decoded[b].tolist() == [*best, *[0] * (4 - length)]


@torch.no_grad()
@pytest.mark.parametrize("structure", [None, STRUCTURE], ids=["free", "constrained"])
def test_an_ensemble_is_the_best_path_under_the_mean_of_all_scores(structure: TagStructure | None):
    head, features = head_of(structure, decoders=3), 9 * torch.randn(4, 4, 5)
    scores = head.scores(features, MASK)
    decoded = head.labels_of_ensemble(features, MASK)
    for b, length in enumerate(LENGTHS):
        allowed = paths(length, valid=structure is not None) if length else []
        means = {path: sum(score(head, scores[k, b], path, k).item() for k in range(3)) for path in allowed}
        best = max(means, key=means.__getitem__) if means else ()
        assert decoded[b].tolist() == [*best, *[0] * (4 - length)]


def test_forbidden_transitions_are_not_decoded_even_when_the_scores_ask_for_them():
    head = head_of(STRUCTURE)
    scores = torch.zeros(1, 4, 3)
    scores[..., 2] = 50.0  # I-A everywhere: the first word must be B-A instead
    assert head.decode(scores, MASK[:1]).tolist() == [[1, 2, 2, 2]]
    assert head_of(None).decode(scores, MASK[:1]).tolist() == [[2, 2, 2, 2]]


def test_a_span_that_its_scheme_must_close_is_closed_at_the_end():
    labels = ("O", "B-A", "E-A", "S-A")
    head = CRFHead(5, 4, structure=tag_structure(labels, scheme=Scheme.BIOES))
    scores = torch.zeros(1, 4, 4)
    scores[..., 1] = 50.0  # B-A everywhere, which may neither follow itself nor end a sentence
    tags = [labels[i] for i in head.decode(scores, MASK[:1])[0]]
    assert violations(tags, scheme=Scheme.BIOES) == []
    assert tags.count("B-A") == 2


def test_gold_over_a_forbidden_transition_has_a_finite_loss_and_gradient():
    head = head_of(STRUCTURE)
    loss = head(torch.randn(1, 4, 5), MASK[:1], TokenTargets(torch.tensor([0]), torch.tensor([[0, 2, 2, 0]])))
    assert loss.total.isfinite().all()
    loss.total.sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in head.parameters())


def test_a_head_that_first_decoded_in_inference_mode_still_learns():
    head, features = head_of(STRUCTURE), torch.randn(4, 4, 5)
    with torch.inference_mode():
        head.decode(head.scores(features, MASK)[0], MASK)
    head(features, MASK, targets()).total.sum().backward()
    assert head.transitions.grad is not None
    assert head.transitions.grad.any()


def test_the_constraint_is_no_part_of_the_state():
    assert set(head_of(STRUCTURE).state_dict()) == set(head_of(None).state_dict())
