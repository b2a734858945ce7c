"""Publish a run: weights, configuration, tokenizer or vocabularies, recipe, scores, pictures and a model card.

python scripts/push_to_hub.py runs/quickstart my-name/my-tagger --private
"""

import sys
from pathlib import Path
from typing import Annotated

import typer
from transformers.utils import logging

from seqmtl import SeqMTLError, push_to_hub


def main(
    run: Path,
    repository: Annotated[str, typer.Argument(help="Where to: NAME/MODEL.")],
    private: Annotated[bool, typer.Option(help="Show it to nobody else.")] = False,
) -> None:
    logging.disable_progress_bar()
    try:
        print(push_to_hub(run, repository, private=private or None))
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    typer.run(main)
