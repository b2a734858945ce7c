import subprocess
import sys
from pathlib import Path

import evaluate
import pytest

import seqmtl.evaluation
from seqmtl.errors import ConfigError
from seqmtl.evaluation import frame_scores, predicate_scores, span_scores, token_scores
from seqmtl.evaluation.metrics import PredicateF1, SpanF1, SrlF1, TokenAccuracy
from seqmtl.labels import Frame, Scheme

TAGS = [["B-PER", "I-PER", "O"], ["B-LOC"], ["O", "B-LOC"]]
OTHER_TAGS = [["B-PER", "I-PER", "B-LOC"], ["B-PER"], ["O", "I-LOC"]]
WORDS, OTHER_WORDS = [[0, 2], [], [1]], [[0], [], [1, 2]]
FRAMES = [
    [{"predicate": 1, "sense": "say.01", "tags": ["B-ARG0", "B-V", "B-ARG1"]}],
    [],
    [{"predicate": 0, "sense": "go.01", "tags": ["B-V", "B-ARG1"]}],
]
OTHER_FRAMES = [
    [{"predicate": 1, "sense": "say.01", "tags": ["B-ARG0", "B-V", "O"]}],
    [{"predicate": 0, "sense": "be.01", "tags": ["B-V", "B-ARG1"]}],
    [],
]


def frames(sentences):
    return [[Frame.from_row(row) for row in rows] for rows in sentences]


CASES = [
    pytest.param(TokenAccuracy, TAGS, OTHER_TAGS, token_scores(TAGS, OTHER_TAGS), id="tokens"),
    pytest.param(SpanF1, TAGS, OTHER_TAGS, span_scores(TAGS, OTHER_TAGS, scheme=Scheme.BIO), id="spans"),
    pytest.param(PredicateF1, WORDS, OTHER_WORDS, predicate_scores(WORDS, OTHER_WORDS), id="predicates"),
    pytest.param(SrlF1, FRAMES, OTHER_FRAMES, frame_scores(frames(FRAMES), frames(OTHER_FRAMES)), id="roles"),
]


@pytest.mark.parametrize(("metric", "gold", "predicted", "expected"), CASES)
def test_compute_gives_the_scores_of_the_function(metric, gold, predicted, expected, tmp_path):
    found = metric(cache_dir=str(tmp_path)).compute(predictions=predicted, references=gold)
    assert found == expected.values
    assert 0 < found[expected.main] < 1


@pytest.mark.parametrize(("metric", "gold", "predicted", "expected"), CASES)
def test_batches_give_what_one_call_gives(metric, gold, predicted, expected, tmp_path):
    collecting = metric(cache_dir=str(tmp_path))
    for start in range(3):
        batch = slice(start, start + 1)
        collecting.add_batch(predictions=predicted[batch], references=gold[batch])
    assert collecting.compute() == expected.values
    # and one by one, in memory
    singly = metric(keep_in_memory=True, cache_dir=str(tmp_path))
    for left, right in zip(predicted, gold, strict=True):
        singly.add(prediction=left, reference=right)
    assert singly.compute() == expected.values


@pytest.mark.parametrize("metric", [TokenAccuracy, SpanF1, PredicateF1, SrlF1])
def test_metric_describes_itself(metric, tmp_path):
    made = metric(cache_dir=str(tmp_path))
    assert set(made.features) == {"predictions", "references"}
    assert made.description
    assert "for each sentence" in made.inputs_description
    assert metric is TokenAccuracy or made.citation.startswith("@inproceedings")


def test_metrics_combine(tmp_path):
    both = evaluate.combine([TokenAccuracy(cache_dir=str(tmp_path)), SpanF1(cache_dir=str(tmp_path))])
    both.add_batch(predictions=OTHER_TAGS, references=TAGS)
    spans, tokens = span_scores(TAGS, OTHER_TAGS, scheme=Scheme.BIO).values, token_scores(TAGS, OTHER_TAGS).values
    shared = {"token_accuracy_accuracy": tokens["accuracy"], "span_f1_accuracy": spans.pop("accuracy")}
    assert both.compute() == spans | shared


def test_configuration_names_the_scheme(tmp_path):
    metric = SpanF1("bioes", cache_dir=str(tmp_path))
    assert metric.compute(predictions=[["S-PER"]], references=[["S-PER"]])["f1_strict"] == 1.0
    with pytest.raises(ConfigError, match=r"got the scheme 'bioess'; did you mean 'bioes'\?"):
        SpanF1("bioess", cache_dir=str(tmp_path))


PROGRAM = """
from seqmtl.evaluation.metrics import SpanF1
metric = SpanF1()
metric.add_batch(predictions=[["B-PER"]], references=[["B-PER"]])
metric.add_batch(predictions=[["O"]], references=[["B-LOC"]])
print(metric.compute()["recall"])
"""


def test_offline_run_leaves_nothing_in_the_working_directory(tmp_path):
    cwd, home = tmp_path / "cwd", tmp_path / "home"
    cwd.mkdir()
    root = Path(seqmtl.evaluation.__file__).parents[2]
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=cwd, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0.5"
    assert list(cwd.iterdir()) == []
    assert list(home.rglob("*.arrow")) == []
