"""The structure allows exactly the label sequences that the scheme allows."""

from collections.abc import Sequence
from itertools import combinations, pairwise, product

import pytest

from seqmtl.errors import LabelError
from seqmtl.labels.schemes import Scheme, violations
from seqmtl.labels.structure import TagStructure, allowed_transitions, tag_structure


def full_inventory(scheme: Scheme) -> list[str]:
    prefixes = "BIES" if scheme is Scheme.BIOES else "BI"
    return ["O", *(f"{prefix}-{label}" for label in ("X", "C-X") for prefix in prefixes)]


def path_is_allowed(path: Sequence[int], structure: TagStructure) -> bool:
    start, transition, end = allowed_transitions(structure)
    return start[path[0]] and all(transition[a][b] for a, b in pairwise(path)) and end[path[-1]]


def path_is_allowed_linearly(path: Sequence[int], structure: TagStructure) -> bool:
    """The same by the reading that decoding uses: free labels after any end, the others after those listed."""
    for before, now in zip([None, *path], path, strict=False):
        if before is None:
            fits = structure.starts[now]
        elif structure.continues[now]:
            fits = before in structure.continues[now]
        else:
            fits = structure.ends[before]
        if not fits:
            return False
    return structure.ends[path[-1]]


def assert_equals_brute_force(labels: Sequence[str], scheme: Scheme, longest: int) -> None:
    structure = tag_structure(labels, scheme=scheme)
    for length in range(1, longest + 1):
        for path in product(range(len(labels)), repeat=length):
            valid = violations([labels[index] for index in path], scheme=scheme) == []
            assert path_is_allowed(path, structure) == valid, (labels, path)
            assert path_is_allowed_linearly(path, structure) == valid, (labels, path)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_allowed_paths_equal_brute_force(scheme: Scheme) -> None:
    assert_equals_brute_force(full_inventory(scheme), scheme, longest=4 if scheme is not Scheme.BIOES else 3)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_allowed_paths_equal_brute_force_on_every_partial_inventory(scheme: Scheme) -> None:
    labels = [label for label in full_inventory(scheme) if not label.endswith("C-X")][::-1]
    for size in range(1, len(labels) + 1):
        for chosen in combinations(labels, size):
            assert_equals_brute_force(chosen, scheme, longest=4)


def test_bio_by_hand() -> None:
    structure = tag_structure(["O", "B-X", "I-X", "I-Y"], scheme=Scheme.BIO)
    assert structure.starts == (True, True, False, False)
    assert structure.ends == (True, True, True, True)
    assert structure.continues == ((), (), (1, 2), (3,))


def test_bioes_by_hand() -> None:
    structure = tag_structure(["O", "B-X", "E-X", "I-X", "S-X"], scheme=Scheme.BIOES)
    assert structure.starts == (True, True, False, False, True)
    assert structure.ends == (True, False, True, False, True)
    assert structure.continues == ((), (), (1, 3), (1, 3), ())


@pytest.mark.parametrize("scheme", list(Scheme))
def test_no_label_has_more_than_two_predecessors_of_its_own(scheme: Scheme) -> None:
    structure = tag_structure(full_inventory(scheme), scheme=scheme)
    assert max(len(before) for before in structure.continues) == 2


def test_without_a_scheme_everything_is_allowed() -> None:
    start, transition, end = allowed_transitions(tag_structure(["NOUN", "I-X", "VERB"], scheme=None))
    assert start == end == [True] * 3
    assert transition == [[True] * 3] * 3


def test_transitions_are_from_row_to_column() -> None:
    _, transition, _ = allowed_transitions(tag_structure(["O", "B-X", "I-X"], scheme=Scheme.BIO))
    assert transition == [[True, True, False], [True, True, True], [True, True, True]]


@pytest.mark.parametrize(("label", "message"), [("NOUN", "not a span tag"), ("E-X", "does not belong to the scheme")])
def test_labels_outside_the_scheme_are_refused(label: str, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        tag_structure(["O", label], scheme=Scheme.BIO)
