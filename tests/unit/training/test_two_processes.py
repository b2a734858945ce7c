"""Two processes that score and mix as one does."""

from pathlib import Path

import datasets
import pytest
from accelerate import Accelerator
from rich.console import Console
from two_processes import together

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.toy import generate
from seqmtl.evaluation.evaluator import predict_rows, score_rows
from seqmtl.evaluation.predictions import Annotator
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.loop import Run
from seqmtl.training.setup import prepare

SENTENCES = [1, 3, 301]  # one process has none, one has one more, the last batches are ragged
STEPS = 200
LAYERS = {"parts": "upos", "roles": "srl_frames", "names": "ner_tags"}
SIZES = {"parts": 400, "roles": 300, "names": 8}
ASKED = {"parts": 0.5, "roles": 0.3, "names": 0.2}


@pytest.mark.parametrize("count", SENTENCES)
def test_two_processes_score_exactly_as_one_does(tiny_run, count):
    annotator = Annotator(*load_checkpoint(tiny_run))
    rows = list(generate("test", n=count, seed=5))

    def score(processes):
        predictions = predict_rows(annotator, rows, processes=processes)
        scores = score_rows(annotator.model.tasks, rows=rows, predictions=predictions, corpus="toy")
        return predictions, {task: score.values for task, score in scores.items()}

    alone = score(None)
    assert len(alone[0]) == count
    assert together(lambda: score(Accelerator(cpu=True))) == [alone, alone]


@pytest.mark.slow
@pytest.mark.parametrize("small", ["in memory", "streamed"])
def test_two_processes_mix_corpora_of_different_layers_as_asked(tiny, write_corpus, tmp_path, small):
    rows = list(generate("train", n=sum(SIZES.values()), seed=0))
    for name, layer in LAYERS.items():
        part, rows = rows[: SIZES[name]], rows[SIZES[name] :]
        part = [{key: row[key] for key in ("id", "tokens", layer)} for row in part]
        if name == "names" and small == "streamed":
            folder = tmp_path / name
            folder.mkdir()
            datasets.Dataset.from_list(part).to_parquet(str(folder / "train.parquet"))
            columns = {"tokens": "tokens", layer: layer}
            of_hub = {"kind": "hub", "dataset": str(folder), "columns": columns, "splits": {"train": "train"}}
            tiny["corpora"][name] = of_hub | {"streaming": True}
        else:
            tiny["corpora"][name] = write_corpus(name, train=part)
    del tiny["corpora"]["toy"], tiny["tasks"]["chunk"]
    rates = {"kind": "weights", "weights": ASKED}
    tiny["mixture"] = {"tokens_per_batch": 100, "max_sentences": 2, "rates": rates, "rows_per_epoch": 500}
    tiny["training"] |= {"epochs": 2, "max_steps": STEPS}

    def train():
        prepared = prepare(RecipeSpec.parse(tiny, source="test"), folder=Path())
        run = Run(prepared, tmp_path, console=Console(quiet=True), accelerator=Accelerator(cpu=True))
        run.begin(resume=False)
        without = 0
        while run.course.step < STEPS:
            with run.begin_epoch():
                for lesson in run.lessons():
                    run.learn(lesson)
                    without += {name for name, _ in lesson.step.rows} != {*ASKED}
        return run.mixed.rows, without, [p.tolist() for p in run.learner.model.parameters()]

    ours, theirs = together(train)
    assert ours == theirs
    rows, without, _ = ours
    assert without > STEPS / 4  # a corpus is missing, and with it its tasks
    drawn = sum(rows.values())
    assert drawn > 3 * STEPS
    for name, share in ASKED.items():
        deviation = (share * (1 - share) / drawn) ** 0.5
        assert rows[name] / drawn == pytest.approx(share, abs=4 * deviation)
