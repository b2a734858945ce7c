import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.tasks import Task
from seqmtl.data.toy import generate
from seqmtl.errors import ConfigError
from seqmtl.evaluation.predictions import Annotator, Prediction, annotate, canonical
from seqmtl.labels import LabelInventory, Scheme, convert, spans_of, tags_of
from seqmtl.labels.schemes import Span
from seqmtl.specs.tasks import TaskSpec


@pytest.fixture(scope="module")
def annotator(tiny_run):
    return Annotator(*load_checkpoint(tiny_run))


@pytest.fixture(scope="module")
def rows():
    return [*generate("test", n=12, seed=3), {"id": "empty", "tokens": [], "srl_frames": []}]


def predictions(annotator, rows, **options):
    return dict(annotate(annotator, rows, **options))


def test_each_row_is_annotated_at_its_position_as_if_it_stood_alone(annotator, rows):
    found = predictions(annotator, rows)
    assert sorted(found) == list(range(len(rows)))
    for position, row in enumerate(rows):
        assert found[position] == annotator([row])[0]


@pytest.mark.parametrize("budget", [1, 40, 10_000])
def test_batches_do_not_change_predictions(annotator, rows, budget):
    assert predictions(annotator, rows, tokens_per_batch=budget) == predictions(annotator, rows)


@pytest.mark.parametrize("processes", [1, 2, 3, 20])
def test_parts_hold_each_row_once(annotator, rows, processes):
    parts = [list(annotate(annotator, rows, tokens_per_batch=30, part=(rank, processes))) for rank in range(processes)]
    positions = [position for part in parts for position, _ in part]
    assert sorted(positions) == list(range(len(rows)))
    assert {position: found for part in parts for position, found in part} == predictions(annotator, rows)


def test_progress_counts_every_sentence(annotator, rows):
    counted = []
    predictions(annotator, rows, tokens_per_batch=30, advance=counted.append)
    assert sum(counted) == len(rows)
    assert len(counted) > 1


def test_every_prediction_fits_its_sentence(annotator, rows):
    found = predictions(annotator, rows)
    for position, row in enumerate(rows):
        prediction, length = found[position], len(row["tokens"])
        assert set(prediction.tags) == {"upos", "chunk", "ner"}
        assert all(len(tags) == length for tags in prediction.tags.values())
        for task in ("chunk", "ner"):  # constrained decoding, and BIO whatever the scheme inside
            spans_of(prediction.tags[task], scheme=Scheme.BIO)
        words = prediction.predicates["predicate"]
        assert words == sorted(set(words))
        assert all(0 <= word < length for word in words)
        assert [frame.predicate for frame in prediction.found_frames["srl"]] == words
        for frame in (*prediction.frames_of_gold["srl"], *prediction.found_frames["srl"]):
            assert len(frame.tags) == length
            assert [word for word, tag in enumerate(frame.tags) if tag == "B-V"] == [frame.predicate]


def test_gold_predicates_are_labelled_in_their_order_and_found_ones_beside_them(annotator, rows):
    row = next(row for row in rows if len(row["srl_frames"]) > 1)
    [prediction] = annotator([row])
    gold = [frame["predicate"] for frame in row["srl_frames"]]
    assert [frame.predicate for frame in prediction.frames_of_gold["srl"]] == gold
    [turned] = annotator([row | {"srl_frames": row["srl_frames"][::-1]}])
    assert turned.frames_of_gold["srl"] == prediction.frames_of_gold["srl"][::-1]
    shared = {frame.predicate: frame for frame in prediction.found_frames["srl"]}
    assert all(shared.get(frame.predicate, frame) == frame for frame in prediction.frames_of_gold["srl"])


def test_without_gold_frames_only_the_found_predicates_are_labelled(annotator, rows):
    with_gold = predictions(annotator, rows)
    bare = [{"tokens": row["tokens"]} for row in rows]
    for position, prediction in predictions(annotator, bare).items():
        assert prediction.frames_of_gold == {}
        assert prediction.found_frames == with_gold[position].found_frames
    none = [row | {"srl_frames": []} for row in rows]
    for prediction in predictions(annotator, none).values():
        assert prediction.frames_of_gold["srl"] == []  # no gold predicate is something else than no layer


def test_roles_without_a_predicate_task_are_labelled_for_gold_predicates_only(annotator, rows, monkeypatch):
    model = annotator.model
    task = model.tasks["srl"]
    alone = dataclasses.replace(task, spec=task.spec.model_copy(update={"predicates": None}))
    monkeypatch.setitem(model.tasks, "srl", alone)
    with_finder = predictions(annotator, rows)
    for position, prediction in predictions(Annotator(model, annotator.indexer, tasks=["srl"]), rows).items():
        assert prediction.found_frames == {}
        assert prediction.frames_of_gold == with_finder[position].frames_of_gold


def test_frames_on_one_predicate_are_labelled_once_each(annotator, rows):
    row = next(row for row in rows if row["srl_frames"])
    frame = row["srl_frames"][0]
    [prediction] = annotator([row | {"srl_frames": [frame, frame]}])
    first, second = prediction.frames_of_gold["srl"]
    assert first == second
    assert first.predicate == frame["predicate"]


def test_chosen_tasks_give_the_same_as_all(annotator, rows):
    whole = predictions(annotator, rows)
    some = predictions(Annotator(annotator.model, annotator.indexer, tasks=["srl", "chunk"]), rows)
    for position, prediction in some.items():
        assert prediction.tags == {"chunk": whole[position].tags["chunk"]}
        assert prediction.predicates == {}
        assert prediction.found_frames == whole[position].found_frames


def test_an_unknown_task_is_named_with_the_nearest(annotator):
    with pytest.raises(ConfigError, match=r"no task 'chunks'.*'chunk'"):
        Annotator(annotator.model, annotator.indexer, tasks=["chunks"])


def test_the_model_keeps_its_mode(annotator, rows):
    annotator.model.train()
    predictions(annotator, rows)
    assert annotator.model.training
    annotator.model.eval()
    predictions(annotator, rows)
    assert not annotator.model.training


def test_the_model_keeps_its_mode_when_annotation_stops_early(annotator, rows):
    annotator.model.train()
    try:
        with pytest.raises(ZeroDivisionError):
            predictions(annotator, rows, advance=lambda done: done // 0)
        assert annotator.model.training
        unfinished = annotate(annotator, rows)
        next(unfinished)
        unfinished.close()
        assert annotator.model.training
    finally:
        annotator.model.eval()


def test_predictions_travel_between_processes_as_plain_values(annotator, rows):
    import pickle

    [prediction] = annotator(rows[:1])
    assert pickle.loads(pickle.dumps(prediction)) == prediction
    assert dataclasses.is_dataclass(Prediction)


def span_task(scheme):
    spec = TaskSpec.model_validate({"layer": "ner_tags", "scheme": scheme, "head": {"kind": "softmax"}})
    return Task("ner", spec, LabelInventory(("O",)))


@given(lengths=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from(["PER", "LOC"])), max_size=5))
def test_tags_of_a_bioes_task_come_out_as_the_same_spans_in_bio(lengths):
    spans, start = [], 0
    for gap, size, label in lengths:
        spans.append(Span(start + gap, start + gap + size, label))
        start += gap + size
    bio = tags_of(spans, length=start + 1, scheme=Scheme.BIO)
    bioes = convert(bio, source=Scheme.BIO, target=Scheme.BIOES)
    assert canonical(bioes, span_task("bioes")) == bio
    assert canonical(bio, span_task("bio")) == bio


def test_free_decoding_that_breaks_its_scheme_still_comes_out_as_bio():
    assert canonical(["I-PER", "O", "B-LOC", "B-LOC"], span_task("bioes")) == ["B-PER", "O", "B-LOC", "B-LOC"]
