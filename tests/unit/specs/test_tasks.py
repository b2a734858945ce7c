import pytest

from seqmtl.errors import ConfigError
from seqmtl.specs.tasks import CRFHeadSpec, SoftmaxHeadSpec, SRLHeadSpec, TaskSpec


def parse(**data):
    return TaskSpec.parse(data, source="task")


def test_defaults():
    task = parse(layer="upos", head={"kind": "softmax"})
    assert (task.weight, task.corpora, task.scheme, task.unseen_labels) == (1.0, None, None, "error")
    assert task.head == SoftmaxHeadSpec(kind="softmax")
    assert isinstance(parse(layer="ner_tags", scheme="bioes", head={"kind": "crf"}).head, CRFHeadSpec)
    assert isinstance(parse(layer="srl_frames", head={"kind": "srl"}).head, SRLHeadSpec)


@pytest.mark.parametrize("kind", ["predicate", "srl"])
def test_frame_heads_learn_frames_only(kind):
    with pytest.raises(ConfigError, match=f"a '{kind}' head cannot learn layer 'upos'"):
        parse(layer="upos", head={"kind": kind})


@pytest.mark.parametrize("kind", ["softmax", "crf"])
def test_token_heads_learn_any_other_layer(kind):
    parse(layer="anything", head={"kind": kind})
    with pytest.raises(ConfigError, match=f"a '{kind}' head cannot learn layer 'srl_frames'"):
        parse(layer="srl_frames", head={"kind": kind})


def test_a_scheme_is_for_token_heads_and_predicates_are_for_roles():
    with pytest.raises(ConfigError, match="'scheme' is for softmax and crf heads"):
        parse(layer="srl_frames", scheme="bio", head={"kind": "srl"})
    with pytest.raises(ConfigError, match="'predicates' is for srl heads"):
        parse(layer="upos", predicates="p", head={"kind": "softmax"})


@pytest.mark.parametrize(
    ("head", "path"),
    [
        ({"kind": "softmax", "dropout": 1.0}, r"head\.dropout: got 1\.0"),
        ({"kind": "softmax", "hiden": 3}, r"head\.hiden: unknown key; did you mean 'hidden'"),
        ({"kind": "crff"}, r"head\.kind: got 'crff'; did you mean 'crf'"),
        ({"kind": "crf", "label_smoothing": 0.1}, r"head\.label_smoothing: unknown key"),
    ],
)
def test_a_bad_head_is_named_by_its_path(head, path):
    with pytest.raises(ConfigError, match=path):
        parse(layer="upos", head=head)


def test_a_weight_is_not_negative():
    with pytest.raises(ConfigError, match="weight: got -1"):
        parse(layer="upos", head={"kind": "softmax"}, weight=-1)
