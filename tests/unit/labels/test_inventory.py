"""Inventories: order, round trip, and an error that helps."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.errors import LabelError
from seqmtl.labels.inventory import LabelInventory


def test_labels_are_sorted_after_o() -> None:
    assert LabelInventory.of([["I-PER", "B-PER"], ["O", "B-LOC"]]).labels == ("O", "B-LOC", "B-PER", "I-PER")
    assert LabelInventory.of([["VERB", "NOUN"], []]).labels == ("NOUN", "VERB")


@given(corpus=st.lists(st.lists(st.text(max_size=3))))
def test_ids_and_tags_are_inverse_and_cover_the_corpus(corpus: list[list[str]]) -> None:
    inventory = LabelInventory.of(iter(corpus))
    assert set(inventory.labels) == {tag for tags in corpus for tag in tags}
    assert inventory.ids(inventory.labels) == list(range(len(inventory)))
    for tags in corpus:
        assert inventory.tags(inventory.ids(tags)) == tags


def test_the_order_does_not_depend_on_the_corpus_order() -> None:
    corpus = [["B-X", "O"], ["I-X", "A"]]
    assert LabelInventory.of(corpus) == LabelInventory.of(corpus[::-1])


def test_a_given_order_is_kept_and_survives_json() -> None:
    inventory = LabelInventory(("I-X", "O", "B-X"))
    assert inventory.ids(["O", "B-X"]) == [1, 2]
    assert LabelInventory(tuple(json.loads(json.dumps(inventory.labels)))) == inventory


def test_membership_and_length() -> None:
    inventory = LabelInventory.of([["O", "B-X"]])
    assert "B-X" in inventory
    assert "I-X" not in inventory
    assert len(inventory) == 2
    assert len(LabelInventory.of([])) == 0


def test_an_unknown_label_is_named_with_its_neighbour() -> None:
    inventory = LabelInventory.of([["O", "B-PER", "I-PER"]])
    with pytest.raises(LabelError, match=r"'B-PERS' is not among the 3 labels.*did you mean 'B-PER'\?.*training data"):
        inventory.ids(["O", "B-PERS"])


def test_repeated_labels_are_a_programming_mistake() -> None:
    with pytest.raises(AssertionError, match="labels repeat"):
        LabelInventory(("O", "B-X", "O"))
