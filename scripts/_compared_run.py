"""One run of a comparison, in a process of its own: train what the folder's asked.yaml says, then score a split.

python scripts/_compared_run.py FOLDER CORPUS SPLIT OVERRIDE

The recipe has no test split, so that nothing can be chosen by it; OVERRIDE gives the corpus back as it is for scoring.
A folder that holds a finished training is only scored. What is found goes into ``FOLDER/scores-SPLIT.json``.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from _experiment import ASKED, run_script
from rich.console import Console
from transformers.utils import logging

from seqmtl import evaluate_checkpoint, load_recipe, train_recipe
from seqmtl.checkpoints import METRICS
from seqmtl.evaluation.evaluator import count_rows
from seqmtl.training.history import HISTORY


def train_and_score(folder: Path, *, corpus: str, split: str, override: str) -> dict[str, Any]:
    """Return the main score of each task in percent, its counts per sentence, parameters and training words per second.

    The words per second are those of the last training epoch.
    """
    if not (folder / METRICS).exists():
        recipe, home = load_recipe(str(folder / ASKED))
        train_recipe(recipe, folder, folder=home, console=Console())
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = evaluate_checkpoint(folder, corpus=corpus, split=split, overrides=[override], device=device)[corpus]
    counts = {
        name: count_rows(task, rows=found.rows, predictions=found.predictions, corpus=corpus)
        for name, task in found.model.tasks.items()
    }
    events = [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
    return {
        "scores": {task: 100 * score.main_value for task, score in found.scores.items()},
        "counts": {task: array.tolist() for task, array in counts.items()},
        "parameters": sum(parameter.numel() for parameter in found.model.parameters()),
        "train_words_per_second": [event["words_per_second"] for event in events if event["kind"] == "dev"][-1],
    }


def main() -> None:
    """Write the file of scores whole or not at all."""
    folder, corpus, split, override = Path(sys.argv[1]), *sys.argv[2:]
    logging.disable_progress_bar()
    found = train_and_score(folder, corpus=corpus, split=split, override=override)
    part = folder / f"scores-{split}.part"
    part.write_text(json.dumps(found) + "\n", encoding="utf-8")
    part.replace(folder / f"scores-{split}.json")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # words are remembered, and a fork would warn
    run_script(main)
