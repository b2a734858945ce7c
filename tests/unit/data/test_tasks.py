"""Tasks: label inventories, who carries a layer, what a row weighs, and the form in a checkpoint."""

import json
from typing import Any

import pytest

from seqmtl.batch import IGNORED
from seqmtl.data.kinds import PREDICATE_LABELS
from seqmtl.data.tasks import Task, build_task, unseen_labels
from seqmtl.errors import ConfigError, LabelError
from seqmtl.labels import LabelInventory, Scheme
from seqmtl.specs.tasks import TaskSpec

FRAME = {"predicate": 1, "sense": "bark.01", "tags": ["B-A0", "B-V", "O"]}
ROWS = [
    {"id": "1", "tokens": ["dogs", "bark", "loud"], "upos": ["NOUN", "VERB", "ADV"], "srl_frames": [FRAME, FRAME]},
    {"id": "2", "tokens": ["Ada", "Lovelace"], "upos": ["PROPN", "PROPN"], "ner_tags": ["B-PER", "I-PER"]},
    {"id": "3", "tokens": ["no", "verb"], "upos": None, "srl_frames": []},
]


def spec(layer: str, head: str, **more: Any) -> TaskSpec:
    return TaskSpec.parse({"layer": layer, "head": {"kind": head}, **more}, source="test")


def test_a_plain_task_collects_its_labels_from_the_rows_that_carry_it():
    task = build_task("pos", spec("upos", "softmax"), ROWS)
    assert task.labels.labels == ("ADV", "NOUN", "PROPN", "VERB")
    assert task.scheme is None


@pytest.mark.parametrize(("scheme", "labels"), [("bio", ("B-PER", "I-PER")), ("bioes", ("B-PER", "E-PER"))])
def test_a_span_task_collects_labels_in_its_inner_scheme(scheme: str, labels: tuple[str, ...]):
    task = build_task("ner", spec("ner_tags", "crf", scheme=scheme), ROWS)
    assert task.labels.labels == labels
    assert task.scheme is Scheme(scheme)
    assert task.sequences(ROWS[1], corpus="ewt") == [list(labels)]


def test_a_predicate_task_has_two_labels_whatever_the_rows_say():
    assert build_task("predicate", spec("srl_frames", "predicate"), ROWS).labels is PREDICATE_LABELS


def test_an_srl_task_collects_the_tags_of_all_frames():
    task = build_task("srl", spec("srl_frames", "srl"), ROWS)
    assert task.labels.labels == ("O", "B-A0", "B-V")
    assert task.scheme is Scheme.BIO


def test_a_layer_that_no_row_carries_is_an_error():
    with pytest.raises(LabelError, match=r"task 'chunk': no training row carries layer 'chunk_tags'"):
        build_task("chunk", spec("chunk_tags", "softmax"), ROWS)


def test_frames_without_any_predicate_teach_no_roles():
    with pytest.raises(LabelError, match=r"task 'srl': .*not one predicate"):
        build_task("srl", spec("srl_frames", "srl"), ROWS[2:])


def test_a_row_carries_a_layer_that_it_has_in_a_corpus_that_was_chosen():
    task = build_task("pos", spec("upos", "softmax", corpora=["ewt"]), ROWS)
    assert [task.carried_by(row, corpus="ewt") for row in ROWS] == [True, True, False]
    assert not task.carried_by(ROWS[0], corpus="wikigold")
    assert build_task("pos", spec("upos", "softmax"), ROWS).carried_by(ROWS[0], corpus="wikigold")


def test_a_sentence_without_predicates_carries_its_empty_frames():
    task = build_task("predicate", spec("srl_frames", "predicate"), ROWS)
    assert [task.carried_by(row, corpus="ewt") for row in ROWS] == [True, False, True]


@pytest.mark.parametrize(
    ("layer", "head", "weights"),
    [("upos", "softmax", [3, 2, 0]), ("srl_frames", "predicate", [3, 0, 2]), ("srl_frames", "srl", [6, 0, 0])],
)
def test_a_row_weighs_its_labelled_words(layer: str, head: str, weights: list[int]):
    task = build_task("task", spec(layer, head), ROWS)
    assert [task.weight_of(row, corpus="ewt") for row in ROWS] == weights


@pytest.mark.parametrize(
    ("layer", "head", "more", "known", "ids", "weight"),
    [
        ("upos", "softmax", {}, ("NOUN", "VERB"), [[0, 1, IGNORED]], 2),
        ("upos", "crf", {}, ("NOUN", "VERB"), [[IGNORED] * 3], 0),
        ("upos", "crf", {}, ("NOUN", "VERB", "ADV"), [[0, 1, 2]], 3),
        ("srl_frames", "srl", {}, ("O", "B-V"), [[IGNORED, 1, 0]] * 2, 4),
    ],
)
def test_labels_that_training_has_not_collected_are_skipped_if_allowed(
    layer: str, head: str, more: dict, known: tuple[str, ...], ids: list, weight: int
):
    task = Task("task", spec(layer, head, unseen_labels="allow", **more), LabelInventory(known))
    assert task.label_ids(ROWS[0], corpus="ewt") == ids
    assert task.weight_of(ROWS[0], corpus="ewt") == weight


def test_a_chain_over_spans_skips_a_sentence_with_an_unseen_label():
    known = LabelInventory(("O", "B-PER", "I-PER"))
    row = {"id": "4", "tokens": ["Ada", "there"], "ner_tags": ["B-PER", "B-LOC"]}
    chain, free = (
        Task("ner", spec("ner_tags", head, scheme="bio", unseen_labels="allow"), known) for head in ("crf", "softmax")
    )
    assert chain.label_ids(row, corpus="ewt") == [[IGNORED, IGNORED]]
    assert free.label_ids(row, corpus="ewt") == [[1, IGNORED]]


def test_a_label_that_is_not_allowed_is_named_with_its_row_and_the_remedy():
    task = Task("pos", spec("upos", "softmax"), LabelInventory(("NOUN", "VERB", "ADJ")))
    with pytest.raises(
        LabelError, match=r"row '1' of corpus 'ewt' has the label 'ADV'.*'ADJ'(.|\n)*pos.unseen_labels=allow"
    ):
        task.label_ids(ROWS[0], corpus="ewt")


def test_a_row_of_another_corpus_has_nothing_for_a_task():
    task = build_task("pos", spec("upos", "softmax", corpora=["ewt"]), ROWS)
    assert task.weight_of(ROWS[0], corpus="other") == 0
    assert task.sequences(ROWS[0], corpus="other") == []
    assert unseen_labels(Task("pos", task.spec, LabelInventory(("O",))), ROWS, corpus="other") == {}


@pytest.mark.parametrize(
    ("layer", "head", "more"),
    [
        ("upos", "softmax", {"weight": 0.5, "corpora": ["ewt"]}),
        ("ner_tags", "crf", {"scheme": "bioes"}),
        ("srl_frames", "predicate", {}),
        ("srl_frames", "srl", {"predicates": "predicate"}),
    ],
)
def test_a_task_survives_a_checkpoint(layer: str, head: str, more: dict):
    task = build_task("task", spec(layer, head, **more), ROWS)
    assert Task.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_a_broken_task_of_a_checkpoint_is_named():
    data = build_task("pos", spec("upos", "softmax"), ROWS).to_dict()
    with pytest.raises(ConfigError, match=r"task 'pos' of the checkpoint"):
        Task.from_dict(data | {"spec": data["spec"] | {"layr": "upos"}})


def test_unseen_labels_are_counted():
    task = Task("pos", spec("upos", "softmax"), LabelInventory(("NOUN", "VERB")))
    assert unseen_labels(task, ROWS, corpus="ewt") == {"ADV": 1, "PROPN": 2}
    roles = Task("srl", spec("srl_frames", "srl"), LabelInventory(("O",)))
    assert unseen_labels(roles, ROWS, corpus="ewt") == {"B-A0": 2, "B-V": 2}
    finder = Task("p", spec("srl_frames", "predicate"), PREDICATE_LABELS)
    assert unseen_labels(finder, ROWS, corpus="ewt") == {}


def test_unseen_labels_are_looked_for_in_the_inner_scheme():
    task = Task("ner", spec("ner_tags", "crf", scheme="bioes"), LabelInventory(("O", "B-PER")))
    assert unseen_labels(task, ROWS, corpus="ewt") == {"E-PER": 1}
