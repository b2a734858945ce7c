"""Train a recipe, on one process or, with Accelerate, on many.

python scripts/train.py quickstart --out runs/quickstart
accelerate launch --cpu --num_processes 2 scripts/train.py quickstart --out runs/quickstart --set training.epochs=2
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from transformers.utils import logging

from seqmtl import SeqMTLError, load_recipe, train_recipe


def main(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path, typer.Option(help="Run folder; afterwards it is the checkpoint.")],
    overrides: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")] = [],  # noqa: B006 - only read
) -> None:
    logging.disable_progress_bar()
    try:
        spec, folder = load_recipe(recipe, overrides=overrides)
        train_recipe(spec, out, folder=folder)
    except SeqMTLError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    typer.run(main)
