from pathlib import Path

import datasets
import pytest
import torch

from seqmtl.data.corpus import Corpus, rows_from_dataset
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
    tiny["tasks"]["upos"]["unseen_labels"] = "allow"
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


@pytest.fixture
def with_vectors(tiny, write_corpus, tmp_path):
    """One sentence in capitals, and a file of three words in order of frequency."""
    rows = [{"id": "1", "tokens": ["The", "dog", "Xyz"], "upos": ["D", "N", "N"]}]
    (tmp_path / "vectors.txt").write_text("the 7 8 9\ncat 4 5 6\ndog 1 2 3\n")
    tiny["corpora"] = {"c": write_corpus("c", train=rows)}
    tiny["encoder"] |= {"vectors": str(tmp_path / "vectors.txt"), "word_dim": 3}
    return only(tiny, "upos")


def test_word_vectors_land_at_their_words_in_lower_case_where_need_be(with_vectors):
    made = ready(with_vectors)
    weight = made.model.encoder.embedding.weight
    (the, dog, xyz, cat, lower, unknown) = made.indexer.words([["The", "dog", "Xyz", "cat", "the", "?"]])[0].tolist()
    assert weight[[the, dog, cat, lower]].tolist() == [[7, 8, 9], [1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert len({the, dog, xyz, cat, lower, unknown}) == 6
    assert made.model.config.n_words == len(weight) == 2 + 5


def test_only_the_first_words_of_the_vectors_are_known_beside_those_of_training(with_vectors):
    with_vectors["encoder"]["vectors_vocabulary"] = 1
    assert set(ready(with_vectors).indexer.words.vocabulary.items) == {"The", "dog", "Xyz", "the"}
    with_vectors["encoder"]["vectors_vocabulary"] = 0
    assert set(ready(with_vectors).indexer.words.vocabulary.items) == {"The", "dog", "Xyz"}


def test_vectors_of_another_language_are_refused(with_vectors, tmp_path):
    (tmp_path / "vectors.txt").write_text("der 7 8 9\nhund 4 5 6\n")
    with pytest.raises(DataError, match=r"vectors\.txt: holds no word of the training sentences"):
        ready(with_vectors)


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


IOB1 = [{"id": "a", "tokens": list("abc"), "ner_tags": ["I-PER", "I-PER", "B-PER"]}]
BIO = [{"id": "a", "tokens": list("abc"), "ner_tags": ["B-PER", "I-PER", "B-PER"]}]
BIOES = [{"id": "a", "tokens": list("abc"), "ner_tags": ["B-PER", "E-PER", "S-PER"]}]


@pytest.mark.parametrize("written", [IOB1, BIO, BIOES], ids=["iob1", "bio", "bioes"])
@pytest.mark.parametrize(
    ("scheme", "labels"),
    [("bio", {"B-PER", "I-PER"}), ("bioes", {"B-PER", "E-PER", "S-PER"})],
    ids=["as bio", "as bioes"],
)
def test_spans_in_any_scheme_that_nobody_declared_are_bio(tiny, write_corpus, written, scheme, labels):
    tiny["corpora"] = {"c": write_corpus("c", train=written, dev=written)}
    only(tiny, "ner")["tasks"]["ner"]["scheme"] = scheme
    made = ready(tiny)
    assert made.train["c"].rows[0]["ner_tags"] == made.dev["c"][0]["ner_tags"] == BIO[0]["ner_tags"]
    assert set(made.tasks[0].labels.labels) == labels


def test_a_broken_tag_of_a_layer_that_nobody_declared_is_named_or_repaired(tiny, write_corpus):
    broken = {"id": "odd", "tokens": ["d"], "ner_tags": ["I-PER"]}
    tiny["corpora"] = {"c": write_corpus("c", train=[*BIO, *BIO, broken])}
    only(tiny, "ner")
    with pytest.raises(DataError, match=r"row 'odd' \(.*train\.jsonl:3\): 'ner_tags', word 0: 'I-PER' may not stand"):
        ready(tiny)
    tiny["corpora"]["c"]["policy"] = "repair"
    assert ready(tiny).train["c"].rows[-1]["ner_tags"] == ["B-PER"]


def test_a_layer_without_spans_that_is_read_as_spans_is_named(tiny, write_corpus):
    tiny["corpora"] = {"c": write_corpus("c", train=[{"id": "1", "tokens": ["a"], "ner_tags": ["NOUN"]}])}
    with pytest.raises(LabelError, match="corpus 'c': 'ner_tags', 'NOUN' is not a span tag"):
        ready(only(tiny, "ner"))


def test_a_layer_that_no_task_reads_as_spans_stays_as_it_is(tiny, write_corpus):
    rows = [{**IOB1[0], "upos": list("NNN")}]
    tiny["corpora"] = {"a": write_corpus("a", train=rows), "b": write_corpus("b", train=rows)}
    only(tiny, "ner")["tasks"]["ner"]["corpora"] = ["a"]
    made = ready(tiny)
    assert made.train["a"].rows[0]["ner_tags"] == BIO[0]["ner_tags"]
    assert made.train["b"].rows[0]["ner_tags"] == IOB1[0]["ner_tags"]


def test_the_labels_of_test_and_only_of_the_tasks_own_corpora_must_be_known(tiny, write_corpus, toy_rows):
    rows = toy_rows(6)
    odd = [{**rows[0], "upos": ["NOUNN", *rows[0]["upos"][1:]]}]
    tiny["corpora"] = {"c": write_corpus("c", train=rows, test=odd)}
    only(tiny, "upos")
    with pytest.raises(LabelError, match=r"'upos': the test split of 'c' has 1 label\(s\).*'NOUNN'"):
        ready(tiny)
    tiny["corpora"]["own"] = write_corpus("own", train=rows, dev=rows)
    tiny["tasks"]["upos"]["corpora"] = ["own"]
    assert set(ready(tiny).dev) == {"own"}


def test_corpora_of_which_a_recipe_speaks_must_exist(tiny):
    tiny["tasks"]["upos"]["corpora"] = ["toi"]
    with pytest.raises(ConfigError, match=r"tasks\.upos\.corpora: no corpus 'toi'; did you mean 'toy'"):
        ready(tiny)
    tiny["tasks"]["upos"]["corpora"] = None
    with pytest.raises(ConfigError, match="evaluate_on: no corpus 'dev'; allowed: toy"):
        ready(tiny | {"evaluate_on": ["dev"]})
    with pytest.raises(ConfigError, match="there is no corpus: name one under 'corpora'"):
        ready(tiny | {"corpora": {}})


@pytest.mark.parametrize("training", [{"patience": 2}, {"save_best_per_task": True}])
def test_a_choice_by_dev_scores_needs_a_dev_split(tiny, training):
    tiny["training"] |= training
    only(tiny, "upos")
    ready(tiny)
    tiny["corpora"]["toy"]["sizes"] = {"train": 60, "test": 4}
    with pytest.raises(ConfigError, match=rf"training\.{next(iter(training))}: .* no corpus .* has a 'dev' split"):
        ready(tiny)


def test_a_corpus_without_a_word_is_refused(tiny, write_corpus):
    tiny["corpora"]["c"] = write_corpus("c", train=[{"id": "1", "tokens": [], "upos": []}])
    with pytest.raises(DataError, match="corpus 'c', split 'train': none of its 1 sentences has a word"):
        ready(only(tiny, "upos"))


def stream(folder, rows, features):
    datasets.Dataset.from_list(rows, features=datasets.Features(features)).to_parquet(str(folder / "train.parquet"))
    columns = {name: name for name in features}
    return {"kind": "hub", "dataset": str(folder), "columns": columns, "splits": {"train": "train"}, "streaming": True}


def test_a_stream_whose_dataset_names_its_labels_needs_no_row_with_each(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("seqmtl.training.setup.STREAM_SAMPLE", 1)
    names = {"upos": ["N", "V", "X"], "ner_tags": ["O", "B-PER", "I-PER", "B-LOC"]}
    features = {layer: datasets.List(datasets.ClassLabel(names=tags)) for layer, tags in names.items()}
    features["tokens"] = datasets.List(datasets.Value("string"))
    rows = [{"tokens": ["a"], "upos": [0], "ner_tags": [0]}, {"tokens": ["b"], "upos": [2], "ner_tags": [3]}]
    tiny["corpora"] = {"s": stream(tmp_path, rows, features)}
    tiny["mixture"] |= {"rates": {"kind": "uniform"}, "rows_per_epoch": 2}
    made = ready(only(tiny, "upos", "ner"))
    labels = {task.name: task.labels.labels for task in made.tasks}
    assert labels["upos"] == ("N", "V", "X")
    assert set(labels["ner"]) == {"O", "B-PER", "I-PER", "E-PER", "S-PER", "S-LOC"}  # the task is BIOES
    assert set(made.indexer.words.vocabulary.items) == {"a"}  # of the sample, not of the labels


def test_datasets_of_python_need_no_entry_in_the_recipe(tiny):
    live = datasets.Dataset.from_list([{"words": ["Ann", "ran"], "tags": [1, 0], "pos": ["N", "V"]}])
    columns = {"tokens": "words", "ner_tags": "tags", "upos": "pos"}
    rows = rows_from_dataset(live, columns=columns, names={"ner_tags": ["O", "B-PER"]}, schemes={"ner_tags": "auto"})
    corpus = Corpus("mine", {"train": rows, "dev": rows}, layers=("ner_tags", "upos"))
    recipe = RecipeSpec.parse(only(tiny, "upos", "ner") | {"corpora": {}, "evaluate_on": ["mine"]}, source="test")
    made = prepare(recipe, folder=Path(), datasets={"mine": corpus})
    assert (set(made.train), set(made.dev)) == ({"mine"}, {"mine"})
    assert made.tasks[1].labels.labels == ("O", "S-PER")


def test_datasets_of_python_must_have_their_spans_in_bio(tiny):
    live = datasets.Dataset.from_list([{"id": "7", "tokens": ["Ann"], "ner_tags": ["I-PER"]}])
    recipe = RecipeSpec.parse(only(tiny, "ner") | {"corpora": {}}, source="test")
    with pytest.raises(DataError, match=r"corpus 'mine', split 'train', row '7' .*'ner_tags', word 0: 'I-PER'"):
        prepare(recipe, folder=Path(), datasets={"mine": Corpus("mine", {"train": live}, layers=("ner_tags",))})
