"""What every decoder says, against models that have it alone."""

import torch

from seqmtl.evaluation.decoders import EachDecoder
from seqmtl.evaluation.ensemble import Ensemble
from seqmtl.evaluation.evaluator import predict_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.specs.pseudo_tasks import DecodersSpec


def said_by_gold(prediction):
    return prediction.tags, prediction.predicates, prediction.frames_of_gold


def test_each_decoder_says_what_a_model_with_it_says(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=3))
    model, rows = tiny.model.eval(), tiny.rows
    each = predict_rows(EachDecoder(model, tiny.indexer, tasks=list(model.tasks)), rows)
    assert [len(of_row) for of_row in each] == [3] * len(rows)
    for k in range(3):
        for task in model.tasks:
            model.choose_decoder(task, k)
        expected = predict_rows(Annotator(model, tiny.indexer), rows)
        assert [said_by_gold(of_row[k]) for of_row in each] == [said_by_gold(one) for one in expected]
        assert all(not of_row[k].found_frames for of_row in each)
    assert [of_row[0] for of_row in each] != [of_row[1] for of_row in each]


def test_some_tasks_of_a_model_whose_others_have_one_decoder(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=2))
    each = EachDecoder(tiny.model.eval(), tiny.indexer, tasks=["chunk", "predicate"])(tiny.rows)
    assert {tuple(one.tags) for of_row in each for one in of_row} == {("chunk",)}
    assert {tuple(one.predicates) for of_row in each for one in of_row} == {("predicate",)}


def test_a_row_without_frames_has_no_roles_and_one_without_predicates_has_none_to_label(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=2))
    judge = EachDecoder(tiny.model.eval(), tiny.indexer, tasks=["srl"])
    [[bare, _], [empty, _]] = judge([{"tokens": ["a", "b"]}, {"tokens": ["a"], "srl_frames": []}])
    assert bare.frames_of_gold == {}
    assert empty.frames_of_gold == {"srl": []}


@torch.no_grad()
def test_a_tagger_may_read_by_all_decoders_and_finds_predicates_so_too(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=3))
    model, indexer = tiny.model.eval(), tiny.indexer
    together = predict_rows(Annotator(model, indexer, reader=Ensemble(model)), tiny.rows)
    features = model.features(tiny.batch.inputs, list(model.tasks))
    mask = tiny.batch.inputs.word_mask
    found = model.token_head("predicate").labels_of_ensemble(features["predicate"], mask)
    for b, prediction in enumerate(together):
        words = [t for t in range(mask.shape[1]) if mask[b, t] and found[b, t] == 1]
        assert prediction.predicates["predicate"] == words
        assert [frame.predicate for frame in prediction.found_frames["srl"]] == words
