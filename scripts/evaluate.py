"""Score a checkpoint on a split of its corpora and print the main score of each task.

python scripts/evaluate.py runs/quickstart --split dev
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from transformers.utils import logging

from seqmtl import SeqMTLError, evaluate_checkpoint


def main(
    run: Path,
    corpus: Annotated[str | None, typer.Option(help="A corpus of the run's recipe; default: all it scores.")] = None,
    split: str = "test",
    overrides: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")] = [],  # noqa: B006 - only read
) -> None:
    logging.disable_progress_bar()
    try:
        evaluations = evaluate_checkpoint(run, corpus=corpus, split=split, overrides=overrides)
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for name, evaluation in evaluations.items():
        for task, score in evaluation.scores.items():
            print(f"{name}\t{task}\t{score.main}\t{score.main_value:.4f}")


if __name__ == "__main__":
    typer.run(main)
