from pathlib import Path

import datasets
import pytest
import torch

from seqmtl.data.source import StreamSource
from seqmtl.errors import ConfigError, DataError, EncoderError, LabelError
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.setup import describe, prepare, resolved


def ready(recipe):
    return prepare(RecipeSpec.parse(recipe, source="test"), folder=Path())


def only(recipe, *tasks):
    recipe["tasks"] = {name: recipe["tasks"][name] for name in tasks}
    return recipe


def test_labels_and_vocabularies_come_from_training_rows_only(tiny, write_corpus, toy_rows):
    rows = toy_rows(10)
    rare = {"id": "x", "tokens": ["Zyzzyva"], "upos": ["ODD"]}
    tiny["corpora"] = {"toy": write_corpus("toy", train=rows, dev=[rows[0]], test=[rare])}
    made = ready(only(tiny, "upos"))
    seen = {tag for row in rows for tag in row["upos"]}
    assert set(made.tasks[0].labels.labels) == seen
    words = set(made.indexer.words.vocabulary.items)
    assert words == {token for row in rows for token in row["tokens"]}
    assert made.model.config.n_words == len(words) + 2
    assert describe(made)["labels"] == {"upos": len(seen)}


def test_the_same_seed_gives_the_same_weights_and_another_one_others(tiny):
    tiny["corpora"]["toy"]["sizes"] = {"train": 8, "dev": 2}
    only(tiny, "upos", "chunk")
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    first, second = ready(tiny).model.state_dict(), ready(tiny).model.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    tiny["training"]["seed"] = 2
    other = ready(tiny).model.state_dict()
    assert not torch.equal(first["encoder.embedding.weight"], other["encoder.embedding.weight"])


def test_a_layer_that_no_corpus_carries_is_named_with_the_nearest(tiny):
    tiny["tasks"]["chunk"]["layer"] = "chunks"
    with pytest.raises(ConfigError, match=r"tasks\.chunk\.layer: no corpus among toy carries 'chunks'.*chunk_tags"):
        ready(tiny)


def test_a_layer_of_another_corpus_than_the_tasks_own_does_not_count(tiny, write_corpus, toy_rows):
    bare = [{"id": row["id"], "tokens": row["tokens"], "xpos": row["upos"]} for row in toy_rows(3)]
    tiny["corpora"]["bare"] = write_corpus("bare", train=bare)
    tiny["tasks"]["upos"]["corpora"] = ["bare"]
    with pytest.raises(ConfigError, match=r"tasks\.upos\.layer: no corpus among bare carries 'upos'"):
        ready(tiny)


def test_a_layer_only_of_dev_is_an_error(tiny, write_corpus, toy_rows):
    rows = toy_rows(4)
    bare = [{"id": row["id"], "tokens": row["tokens"], "xpos": row["upos"]} for row in rows]
    tiny["corpora"] = {"c": write_corpus("c", train=bare, dev=rows)}
    with pytest.raises(LabelError, match="task 'upos': no training row carries layer 'upos'"):
        ready(only(tiny, "upos"))


def test_without_a_training_split_nothing_starts(tiny, write_corpus, toy_rows):
    tiny["corpora"] = {"c": write_corpus("c", dev=toy_rows(3))}
    with pytest.raises(DataError, match="none of the corpora c has a 'train' split"):
        ready(tiny)


def test_a_label_of_dev_unseen_in_training_is_an_error_unless_it_is_allowed(tiny, write_corpus, toy_rows):
    rows = toy_rows(6)
    odd = [{**rows[0], "upos": ["NOUNN", *rows[0]["upos"][1:]]}]
    tiny["corpora"] = {"c": write_corpus("c", train=rows, dev=odd)}
    only(tiny, "upos")
    with pytest.raises(LabelError, match=r"'upos': the dev split of 'c' has 1 label\(s\).*'NOUNN' \(1 x\).*'NOUN'"):
        ready(tiny)
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
    assert "NOUNN" not in ready(tiny).tasks[0].labels


def test_only_the_corpora_of_evaluate_on_are_scored_and_those_that_carry_a_task(tiny, write_corpus, toy_rows):
    rows = toy_rows(6)
    bare = [{"id": row["id"], "tokens": row["tokens"], "xpos": row["upos"]} for row in rows]
    tiny["corpora"] = {
        "a": write_corpus("a", train=rows, dev=rows, test=rows),
        "b": write_corpus("b", train=rows, dev=rows),
        "bare": write_corpus("bare", train=bare, dev=bare, test=bare),
    }
    only(tiny, "upos")
    made = ready(tiny)
    assert (set(made.train), set(made.dev), set(made.test)) == ({"a", "b", "bare"}, {"a", "b"}, {"a"})
    tiny["evaluate_on"] = ["b"]
    made = ready(tiny)
    assert (set(made.train), set(made.dev), set(made.test)) == ({"a", "b", "bare"}, {"b"}, set())


def test_balanced_class_weights_are_in_inverse_proportion_to_frequency(tiny, write_corpus):
    rows = [{"id": "1", "tokens": list("abcd"), "upos": ["N", "N", "N", "V"]}]
    tiny["corpora"] = {"c": write_corpus("c", train=rows)}
    only(tiny, "upos")["tasks"]["upos"]["head"]["class_weights"] = "balanced"
    weights = ready(tiny).model.heads["upos"].class_weights  # N, V
    assert weights.tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
    tiny["tasks"]["upos"]["head"]["class_weights"] = {"V": 5.0}
    assert ready(tiny).model.heads["upos"].class_weights.tolist() == [1.0, 5.0]
    tiny["tasks"]["upos"]["head"]["class_weights"] = {"VV": 5.0}
    with pytest.raises(ConfigError, match=r"tasks\.upos\.head\.class_weights: no label 'VV'.*'V'"):
        ready(tiny)


def test_pretrained_word_vectors_land_at_their_words(tiny, write_corpus, tmp_path):
    rows = [{"id": "1", "tokens": ["the", "dog"], "upos": ["D", "N"]}]
    (tmp_path / "vectors.txt").write_text("dog 1 2 3\ncat 4 5 6\n")
    tiny["corpora"] = {"c": write_corpus("c", train=rows)}
    tiny["encoder"] |= {"vectors": str(tmp_path / "vectors.txt"), "word_dim": 3}
    made = ready(only(tiny, "upos"))
    words = made.indexer.words.vocabulary
    assert made.model.encoder.embedding.weight[words.id("dog")].tolist() == [1.0, 2.0, 3.0]
    assert made.model.encoder.embedding.weight[words.id("the")].tolist() != [1.0, 2.0, 3.0]


def test_a_misspelt_encoder_is_found_before_any_corpus_is_read(tiny):
    tiny["corpora"] = {"c": {"kind": "jsonl", "path": "/nowhere", "splits": {"train": "x.jsonl"}}}
    tiny["encoder"] = {"kind": "transformer", "pretrained": "/no/such/encoder"}
    with pytest.raises(EncoderError, match="/no/such/encoder"):
        ready(tiny)


def test_paths_of_a_recipe_count_from_its_folder_and_become_absolute(tiny, write_corpus, tmp_path):
    spec = write_corpus("c", train=[])
    tiny["corpora"] = {"c": spec | {"path": "c"}, "hub": {"kind": "hub", "dataset": "org/name"}}
    tiny["corpora"]["hub"] |= {"columns": {"tokens": "tokens", "upos": "pos"}, "splits": {"train": "train"}}
    found = resolved(RecipeSpec.parse(tiny, source="test"), folder=tmp_path)
    assert found.corpora["c"].path == str(tmp_path / "c")
    assert found.corpora["hub"].dataset == "org/name"  # a hub id is no path


def test_a_streamed_corpus_stays_a_stream(tiny, toy_rows, tmp_path):
    rows = [{"tokens": row["tokens"], "upos": row["upos"]} for row in toy_rows(12)]
    datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
    tiny["corpora"] = {
        "s": {
            "kind": "hub",
            "dataset": str(tmp_path),
            "columns": {"tokens": "tokens", "upos": "upos"},
            "splits": {"train": "train"},
            "streaming": True,
        }
    }
    tiny["mixture"] |= {"rates": {"kind": "uniform"}, "rows_per_epoch": 8}
    made = ready(only(tiny, "upos"))
    assert isinstance(made.train["s"], StreamSource)
    assert set(made.tasks[0].labels.labels) == {tag for row in rows for tag in row["upos"]}
    assert describe(made)["train"] == {"s": None}
