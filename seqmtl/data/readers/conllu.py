"""CoNLL-U, the format of Universal Dependencies, read by the ``conllu`` library."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import conllu
from conllu.exceptions import ParseException

from seqmtl.data.readers.lines import numbered_lines
from seqmtl.data.readers.record import Record
from seqmtl.data.rows import ID, TOKENS
from seqmtl.errors import DataError


def read_conllu(path: Path, *, layers: Sequence[str], misc: Mapping[str, str]) -> Iterator[Record]:
    """Yield the sentences of ``path`` with the columns ``layers`` and the layers that stand under a key of MISC.

    A word without the key in MISC is ``O``. Multiword tokens and empty nodes are not words. A sentence in which no word
    has a column lacks that layer. A row's id is its ``sent_id``, or else its number.

    Raises:
        DataError: a line has too few columns or the library cannot parse a sentence; the message names file and line.
    """
    for number, block in enumerate(_blocks(path), start=1):
        sentence = _parse(block, path)
        if not sentence:  # a block of comments
            continue
        lines = [line for line, text in block if not text.startswith("#")]
        words = [(word, line) for word, line in zip(sentence, lines, strict=True) if isinstance(word["id"], int)]
        row = {ID: sentence.metadata.get("sent_id") or str(number), TOKENS: [word["form"] for word, _ in words]}
        for layer in layers:
            row[layer] = _column([word[layer] for word, _ in words])
        for layer, key in misc.items():
            row[layer] = [(word["misc"] or {}).get(key) or "O" for word, _ in words]
        yield Record(row, str(path), block[0][0], [line for _, line in words])


def _blocks(path: Path) -> Iterator[list[tuple[int, str]]]:
    """The numbered lines of each sentence. The library itself has no line numbers."""
    block: list[tuple[int, str]] = []
    for line, text in numbered_lines(path):
        if text.strip():
            block.append((line, text))
        elif block:
            yield block
            block = []
    if block:
        yield block


def _parse(block: list[tuple[int, str]], path: Path) -> conllu.TokenList:
    for line, text in block:
        if not text.startswith("#") and text.count("\t") != 9:  # the library takes a line that is cut short
            raise DataError(f"{path}:{line}: a word has 10 columns with tabs between them, but this line is {text!r}")
    try:
        return conllu.parse("\n".join(text for _, text in block) + "\n\n")[0]
    except ParseException as error:
        raise DataError(f"{path}:{block[0][0]}: the sentence that begins here is not CoNLL-U: {error}") from None


def _column(values: list[str | None]) -> list[str] | None:
    """The library reads ``_`` as None in some columns and as itself in others."""
    column = [value or "_" for value in values]
    return None if set(column) == {"_"} else column
