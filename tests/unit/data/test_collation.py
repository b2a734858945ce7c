"""Collation: gold labels meet the rows that carry them."""

import pytest
import torch

from seqmtl.batch import IGNORED, FrameTargets, TokenTargets
from seqmtl.data.collation import Collator
from seqmtl.data.indexing import Indexer, WordIndexer
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task, build_task
from seqmtl.data.vocabulary import Vocabulary
from seqmtl.errors import LabelError
from seqmtl.specs.tasks import TaskSpec

DOGS: Row = {
    "id": "1",
    "tokens": ["dogs", "bark", "and", "run"],
    "upos": ["NOUN", "VERB", "CCONJ", "VERB"],
    "srl_frames": [
        {"predicate": 1, "sense": "", "tags": ["B-A0", "B-V", "O", "O"]},
        {"predicate": 3, "sense": "", "tags": ["B-A0", "O", "O", "B-V"]},
    ],
}
ADA: Row = {"id": "2", "tokens": ["Ada"], "upos": ["NOUN"], "ner_tags": ["B-PER"]}
STILL: Row = {"id": "3", "tokens": ["a", "dog"], "srl_frames": []}
EMPTY: Row = {"id": "4", "tokens": [], "upos": [], "srl_frames": []}
BATCH = [("ewt", DOGS), ("wiki", ADA), ("ewt", STILL), ("ewt", EMPTY)]


def task(name: str, layer: str, head: str, **more: object) -> Task:
    spec = TaskSpec.parse({"layer": layer, "head": {"kind": head}, **more}, source="test")
    return build_task(name, spec, [row for _, row in BATCH])


@pytest.fixture
def collate() -> Collator:
    tasks = [
        task("pos", "upos", "softmax"),
        task("ewt_pos", "upos", "softmax", corpora=["ewt"]),
        task("ner", "ner_tags", "crf", scheme="bioes"),
        task("predicate", "srl_frames", "predicate"),
        task("srl", "srl_frames", "srl"),
    ]
    return Collator(Indexer(words=WordIndexer(Vocabulary(("dogs", "bark")))), tasks)


def test_token_targets_hold_the_rows_that_carry_the_layer(collate: Collator):
    pos = collate(BATCH).targets["pos"]
    assert isinstance(pos, TokenTargets)
    assert pos.rows.tolist() == [0, 1]  # the empty sentence has nothing to learn
    # inventory: CCONJ 0, NOUN 1, VERB 2
    assert pos.labels.tolist() == [[1, 2, 0, 2], [1, IGNORED, IGNORED, IGNORED]]


def test_a_task_sees_the_corpora_that_it_chose(collate: Collator):
    target = collate(BATCH).targets["ewt_pos"]
    assert isinstance(target, TokenTargets)
    assert target.rows.tolist() == [0]


def test_labels_are_in_the_inner_scheme(collate: Collator):
    ner = collate(BATCH).targets["ner"]
    assert isinstance(ner, TokenTargets)
    assert ner.rows.tolist() == [1]
    assert collate.tasks[2].labels.tags(ner.labels[0, :1].tolist()) == ["S-PER"]


def test_sr4_a_sentence_without_predicates_is_all_zeros_for_the_finder_and_nothing_for_roles(collate: Collator):
    batch = collate(BATCH)
    finder, roles = batch.targets["predicate"], batch.targets["srl"]
    assert isinstance(finder, TokenTargets)
    assert isinstance(roles, FrameTargets)
    assert finder.rows.tolist() == [0, 2]
    assert finder.labels.tolist() == [[0, 1, 0, 1], [0, 0, IGNORED, IGNORED]]
    assert roles.predicates.tolist() == [[0, 1], [0, 3]]
    assert collate.tasks[4].labels.tags(roles.labels[1].tolist()) == ["B-A0", "O", "O", "B-V"]


def test_a_task_without_a_row_has_empty_targets_of_the_same_kind(collate: Collator):
    batch = collate([("wiki", ADA)])
    finder, roles = batch.targets["predicate"], batch.targets["srl"]
    assert isinstance(finder, TokenTargets)
    assert isinstance(roles, FrameTargets)
    assert finder.rows.shape == (0,)
    assert finder.labels.shape == (0, 1)
    assert roles.predicates.shape == (0, 2)
    assert roles.labels.shape == (0, 1)
    assert {finder.rows.dtype, finder.labels.dtype, roles.predicates.dtype, roles.labels.dtype} == {torch.long}


def test_a_batch_for_one_task_has_its_targets_only(collate: Collator):
    whole, part = collate(BATCH), collate(BATCH, only="srl")
    assert list(part.targets) == ["srl"]
    assert torch.equal(part.targets["srl"].labels, whole.targets["srl"].labels)
    assert torch.equal(part.inputs.word_mask, whole.inputs.word_mask)


def test_rows_without_any_layer_still_make_inputs(collate: Collator):
    batch = collate([("ewt", {"tokens": ["dogs", "run"]})])
    assert batch.inputs.word_mask.tolist() == [[True, True]]
    assert all(len(getattr(target, "rows", target.labels)) == 0 for target in batch.targets.values())


def test_a_batch_of_nothing_is_empty(collate: Collator):
    assert collate([]).inputs.word_mask.shape == (0, 0)


def test_the_targets_of_a_batch_hold_as_many_labels_as_its_rows_weigh(collate: Collator):
    batch = collate(BATCH)
    for each in collate.tasks:
        weight = sum(each.weight_of(row, corpus=corpus) for corpus, row in BATCH)
        assert (batch.targets[each.name].labels != IGNORED).sum() == weight


@pytest.mark.parametrize(("head", "rows"), [("softmax", [0, 1, 2]), ("crf", [0, 1])])
def test_what_an_unseen_label_leaves_of_a_sentence(head: str, rows: list[int]):
    """A softmax head skips the word, a chain the sentence; a sentence of unseen labels alone is no target at all."""
    allowed = task("pos", "upos", head, unseen_labels="allow")
    collate = Collator(Indexer(words=WordIndexer(Vocabulary(("dogs",)))), [allowed])
    new = {**DOGS, "upos": ["NOUN", "X", "CCONJ", "VERB"]}
    batch = [("ewt", DOGS), ("wiki", ADA), ("ewt", new), ("ewt", {**ADA, "upos": ["X"]})]
    target = collate(batch).targets["pos"]
    assert isinstance(target, TokenTargets)
    assert target.rows.tolist() == rows
    labels = [[1, 2, 0, 2], [1, IGNORED, IGNORED, IGNORED], [1, IGNORED, 0, 2]]
    assert target.labels.tolist() == labels[: len(target.rows)]
    assert (target.labels != IGNORED).sum() == sum(allowed.weight_of(row, corpus=corpus) for corpus, row in batch)


def test_a_label_that_training_lacked_is_named(collate: Collator):
    with pytest.raises(LabelError, match="VERBB"):
        collate([("ewt", {**ADA, "upos": ["VERBB"]})])
