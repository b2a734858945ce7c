"""Control rows: set aside from training, or dev; every task with several decoders finds some."""

import pytest

from seqmtl.data.source import ListSource
from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.setup import prepare


@pytest.fixture
def ready(tiny, tmp_path):
    def ready(**keys):
        recipe = tiny if not keys else tiny | {"pseudo_tasks": keys}
        return prepare(RecipeSpec.parse(recipe, source="test"), folder=tmp_path)

    return ready


def ids(rows):
    return [row["id"] for row in rows]


def test_without_pseudo_tasks_nothing_is_set_aside(ready):
    assert ready().control == {}
    assert ready().train["toy"].size == 60


def test_one_decoder_learns_from_the_rows_that_several_would_have(ready):
    one, several = ready(decoders=1), ready(decoders=4)
    assert one.control == several.control
    assert ids(one.train["toy"].rows) == ids(several.train["toy"].rows)


def test_a_share_of_the_training_rows_is_set_aside_and_not_trained_on(ready):
    prepared = ready(decoders=2, control=0.25)
    source = prepared.train["toy"]
    assert isinstance(source, ListSource)
    assert (len(prepared.control["toy"]), source.size) == (15, 45)
    everything = ids(ready().train["toy"].rows)
    kept, taken = set(ids(source.rows)), set(ids(prepared.control["toy"]))
    assert kept | taken == set(everything)
    assert not kept & taken
    assert ids(source.rows) == [name for name in everything if name in kept]  # in their order
    assert taken != set(everything[:15])


def test_which_rows_depends_on_the_seed_alone(ready, tiny):
    first = ids(ready(decoders=2).control["toy"])
    assert ids(ready(decoders=4, init=["freeze"]).control["toy"]) == first
    tiny["training"]["seed"] = 2
    assert ids(ready(decoders=2).control["toy"]) != first


def test_labels_are_those_of_all_training_rows_and_words_those_that_are_left(ready):
    prepared, plain = ready(decoders=2, control=0.5), ready()
    assert [task.labels for task in prepared.tasks] == [task.labels for task in plain.tasks]
    words = prepared.indexer.words
    assert words is not None
    known = {word.lower() for row in prepared.train["toy"].rows for word in row["tokens"]}
    assert {word.lower() for word in words.vocabulary.ids} <= known | set(list(words.vocabulary.ids)[:2])
    assert len(words.vocabulary) < len(plain.indexer.words.vocabulary)


def test_dev_may_be_the_control_split_as_in_the_paper(ready):
    prepared = ready(decoders=2, control="dev")
    assert prepared.control == prepared.dev
    assert prepared.train["toy"].size == 60


def test_only_rows_that_carry_a_task_with_several_decoders_are_set_aside(tiny, write_corpus, toy_rows, ready):
    rows = toy_rows(40)
    parts = [{"id": row["id"], "tokens": row["tokens"], "upos": row["upos"]} for row in rows[:20]]
    names = [{"id": row["id"], "tokens": row["tokens"], "ner_tags": row["ner_tags"]} for row in rows[20:]]
    tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "ner")}
    tiny["corpora"] = {
        "parts": write_corpus("parts", train=parts, dev=parts[:4]),
        "names": write_corpus("names", train=names),
    }
    prepared = ready(decoders=2, control=0.2, tasks=["ner"])
    assert {name: len(found) for name, found in prepared.control.items()} == {"names": 4}
    assert prepared.train["parts"].size == 20
    assert {name: len(found) for name, found in ready(decoders=2, control=0.2).control.items()} == {
        "parts": 4,
        "names": 4,
    }
    with pytest.raises(ConfigError, match=r"pseudo_tasks\.control: no dev row .* carries 'ner_tags'.* task 'ner'"):
        ready(decoders=2, control="dev")
    assert set(ready(decoders=2, control="dev", tasks=["upos"]).control) == {"parts"}


def test_too_small_a_share_names_the_task_without_rows(tiny, write_corpus, toy_rows, ready):
    tiny["corpora"] = {"few": write_corpus("few", train=toy_rows(30))}
    with pytest.raises(ConfigError, match=r"pseudo_tasks\.control: none of the rows that 0\.01 .* raise it, or set it"):
        ready(decoders=2, control=0.01)
    with pytest.raises(ConfigError, match=r"pseudo_tasks\.control: no dev row"):
        ready(decoders=2, control="dev")


def test_a_stream_cannot_be_divided(tiny, toy_rows, stream_of, ready):
    tiny["corpora"] = {"s": stream_of(toy_rows(20), "upos")}
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"]}
    with pytest.raises(ConfigError, match=r"the stream 's' cannot be divided; set it to 'dev'"):
        ready(decoders=2)
    assert len(ready(decoders=2, control="dev").control["s"]) == 4
