"""Tag the texts of the standard input, one per line, and print the spans and the predicates with their roles.

echo "Anna Weber gave the report to Acme Inc. in Berlin." | python scripts/predict.py runs/quickstart
"""

import sys
from pathlib import Path

import typer
from transformers.utils import logging

from seqmtl import SeqMTLError, Tagger


def main(run: Path) -> None:
    logging.disable_progress_bar()
    try:
        tagger = Tagger.from_pretrained(run)
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for document in tagger.stream(line.rstrip("\n") for line in sys.stdin):
        for sentence in document.sentences:
            print(document.text_of(sentence))
            for task, spans in sentence.spans.items():
                for span in spans:
                    print(f"  {task}\t{span.start}\t{span.end}\t{span.label}\t{span.text}")
            for task, frames in sentence.frames.items():
                for frame in frames:
                    roles = "; ".join(f"{argument.label}: {argument.text}" for argument in frame.arguments)
                    print(f"  {task}\t{sentence.tokens[frame.predicate].text}\t{roles}")


if __name__ == "__main__":
    typer.run(main)
