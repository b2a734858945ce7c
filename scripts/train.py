"""Train a recipe, on one process or, with Accelerate, on many.

python scripts/train.py quickstart --out runs/mine --set training.epochs=2
accelerate launch --cpu --num_processes 2 scripts/train.py quickstart
torchrun --nproc_per_node 2 scripts/train.py quickstart

Without a GPU, ``accelerate launch`` of accelerate 1.15 starts one process, whatever --num_processes says; torchrun
starts them all. With GPUs both do.
"""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from transformers.utils import logging

from seqmtl import SeqMTLError, load_recipe, train_recipe

OUT = "Run folder, the checkpoint; default: runs/NAME. A former run there is removed, unless it is resumed."


def main(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    overrides: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")] = [],  # noqa: B006 - only read
    resume: Annotated[Literal["auto"] | None, typer.Option(help="Go on from the newest state, if any.")] = None,
) -> None:
    logging.disable_progress_bar()
    try:
        spec, folder = load_recipe(recipe, overrides=overrides)
        train_recipe(spec, out or Path("runs") / spec.name, folder=folder, resume=resume == "auto")
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    typer.run(main)
