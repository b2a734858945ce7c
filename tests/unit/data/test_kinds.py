"""What each kind of task reads off a row."""

from typing import Any

import pytest

from seqmtl.batch import IGNORED
from seqmtl.data.kinds import PREDICATE_LABELS, Frames, PlainTags, Predicates, Spans, kind_of
from seqmtl.labels import Scheme
from seqmtl.specs.tasks import TaskSpec

ROW: dict[str, Any] = {
    "tokens": ["Ada", "Lovelace", "met", "Bob"],
    "upos": ["PROPN", "PROPN", "VERB", "PROPN"],
    "ner_tags": ["B-PER", "I-PER", "O", "B-PER"],
    "srl_frames": [
        {"predicate": 2, "sense": "meet.01", "tags": ["B-A0", "I-A0", "B-V", "B-A1"]},
        {"predicate": 2, "sense": "meet.02", "tags": ["O", "O", "B-V", "O"]},
    ],
}


def spec(layer: str, head: str, **more: Any) -> TaskSpec:
    return TaskSpec.parse({"layer": layer, "head": {"kind": head}, **more}, source="test")


@pytest.mark.parametrize("head", ["softmax", "crf"])
@pytest.mark.parametrize(
    ("layer", "more", "kind", "scheme"),
    [
        ("upos", {}, PlainTags, None),
        ("ner_tags", {"scheme": "bio"}, Spans, Scheme.BIO),
        ("ner_tags", {"scheme": "bioes"}, Spans, Scheme.BIOES),
    ],
)
def test_token_level_layers_are_tags_or_spans(head: str, layer: str, more: dict, kind: type, scheme: Scheme | None):
    found = kind_of(spec(layer, head, **more))
    assert type(found) is kind
    assert found.scheme is scheme


def test_frames_are_learned_as_predicates_and_as_roles():
    finder, roles = kind_of(spec("srl_frames", "predicate")), kind_of(spec("srl_frames", "srl"))
    assert (type(finder), finder.scheme) == (Predicates, None)
    assert (type(roles), roles.scheme) == (Frames, Scheme.BIO)
    assert finder.sequences(ROW) == [["O", "O", "V", "O"]]
    assert roles.sequences(ROW) == [frame["tags"] for frame in ROW["srl_frames"]]
    assert finder.inventory([]) is PREDICATE_LABELS


def test_spans_are_spelt_in_the_scheme_inside_the_model():
    assert kind_of(spec("ner_tags", "crf", scheme="bio")).sequences(ROW) == [ROW["ner_tags"]]
    assert kind_of(spec("ner_tags", "crf", scheme="bioes")).sequences(ROW) == [["B-PER", "E-PER", "O", "S-PER"]]


@pytest.mark.parametrize(
    ("layer", "head"), [("upos", "softmax"), ("ner_tags", "crf"), ("srl_frames", "predicate"), ("srl_frames", "srl")]
)
def test_the_size_of_a_row_is_that_of_its_sequences(layer: str, head: str):
    kind = kind_of(spec(layer, head))
    for row in (ROW, {**ROW, "srl_frames": []}):
        assert kind.size(row) == sum(len(sequence) for sequence in kind.sequences(row))


@pytest.mark.parametrize(
    ("head", "left"), [("softmax", [1, IGNORED, 0, 2]), ("predicate", [1, IGNORED, 0, 2]), ("crf", [IGNORED] * 4)]
)
def test_a_chain_has_no_gaps(head: str, left: list[int]):
    kind = kind_of(spec("srl_frames" if head == "predicate" else "upos", head))
    assert kind.learnable([1, IGNORED, 0, 2]) == left
    assert kind.learnable([1, 1, 0, 2]) == [1, 1, 0, 2]
