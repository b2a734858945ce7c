"""Publish a checkpoint: weights, configuration, tokenizer or vocabularies, recipe and scores.

python scripts/push_to_hub.py runs/quickstart my-name/my-tagger --private
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from huggingface_hub import HfApi
from transformers.utils import logging

from seqmtl import SeqMTLError, load_checkpoint

PICTURES_AND_LOGS = ["training.png", "coupling-*.png", "history.jsonl", "best/*", "state/*"]


def main(
    run: Path,
    repository: Annotated[str, typer.Argument(help="Where to: NAME/MODEL.")],
    private: Annotated[bool, typer.Option(help="Show it to nobody else.")] = False,
) -> None:
    logging.disable_progress_bar()
    try:
        model, _ = load_checkpoint(run)  # also makes sure that the folder is whole
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    model.push_to_hub(repository, private=private)  # type: ignore[arg-type]  # transformers copies it per class
    HfApi().upload_folder(
        repo_id=repository,
        folder_path=run,
        ignore_patterns=["model.safetensors", "config.json", *PICTURES_AND_LOGS],
        commit_message="Tokenizer or vocabularies, recipe and scores",
    )


if __name__ == "__main__":
    typer.run(main)
