import pytest

from seqmtl.errors import ConfigError
from seqmtl.evaluation.ensemble import Ensemble
from seqmtl.evaluation.evaluator import predict_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.tagger import Tagger

TEXT = "Anna gave Bob the book."


def test_equal_decoders_say_together_what_one_says(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=3))
    model = tiny.model.eval()
    for head in model.heads.values():
        for values in head.own().values():
            values.data.copy_(values.data[:1].clone().expand_as(values))
    ours, theirs = (predict_rows(Annotator(model, tiny.indexer, reader=r), tiny.rows) for r in (Ensemble(model), None))
    assert ours == theirs


def test_a_tagger_takes_it_by_its_class(tiny_model):
    tiny = tiny_model(decoders=DecodersSpec(count=3))
    (alone,) = Tagger(tiny.model, tiny.indexer)(TEXT).sentences
    (together,) = Tagger(tiny.model, tiny.indexer, reader=Ensemble)(TEXT).sentences
    assert [token.text for token in together.tokens] == [token.text for token in alone.tokens]
    assert together != alone


def test_one_decoder_is_no_ensemble(tiny_model):
    tiny = tiny_model()
    with pytest.raises(ConfigError, match=r"ensemble: each task has one decoder; .*pseudo_tasks\.keep_decoders=true"):
        Tagger(tiny.model, tiny.indexer, reader=Ensemble)
