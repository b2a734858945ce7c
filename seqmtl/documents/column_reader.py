"""Reads the columns that ``columns.py`` writes back into documents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from seqmtl.documents.columns import TAG_COLUMNS
from seqmtl.documents.document import Annotation, Document, build_document
from seqmtl.documents.escapes import unescaped
from seqmtl.documents.words import Offsets
from seqmtl.errors import DataError
from seqmtl.labels.frames import Frame
from seqmtl.labels.schemes import OUTSIDE


@dataclass(frozen=True)
class _Word:
    columns: Sequence[str]
    misc: Mapping[str, str]


@dataclass(frozen=True)
class _Block:
    """The lines of one sentence."""

    comments: Mapping[str, str]
    words: Sequence[_Word]

    def layers(self, kind: str) -> list[str]:
        if kind not in self.comments:
            raise DataError(
                f"sentence {self.comments.get('sent_id', '?')}: the comment '# {kind} = ...' is missing; "
                "this reads what seqmtl wrote, other CoNLL-U files are read as a corpus"
            )
        return self.comments[kind].split()


def from_columns(text: str) -> list[Document]:
    """Rebuild the documents that ``to_columns`` wrote, any number of them one after the other.

    Raises:
        DataError: when a line has not ten columns, or a comment that ``to_columns`` always writes is missing.
        LabelError: when something in a span layer or a frame is not a span tag.
    """
    documents: list[list[_Block]] = []
    for block in _blocks(text):
        if "newdoc id" in block.comments or not documents:
            documents.append([])
        documents[-1].append(block)
    return [_document(blocks) for blocks in documents]


def _blocks(text: str) -> Iterator[_Block]:
    comments: dict[str, str] = {}
    words: list[_Word] = []
    for number, line in enumerate([*text.split("\n"), ""], start=1):
        if line.startswith("# ") and not words:
            key, _, value = line[2:].partition(" =")
            comments[key] = value.strip(" ")
        elif line:
            words.append(_word(line, number))
        elif words:
            yield _Block(comments, words)
            comments, words = {}, []


def _word(line: str, number: int) -> _Word:
    columns = line.split("\t")
    if len(columns) != 10:
        raise DataError(f"line {number}: {len(columns)} columns, not 10, separated by tabs: {line[:60]!r}")
    pairs = [pair.partition("=") for pair in columns[9].split("|")]
    return _Word(columns, {key: unescaped(value) for key, _, value in pairs})


def _document(blocks: Sequence[_Block]) -> Document:
    text = blocks[0].words[0].misc.get("SpacesBefore", "")
    sentences: list[list[Offsets]] = []
    for block in blocks:
        sentences.append([])
        for word in block.words:
            sentences[-1].append((len(text), len(text) + len(word.columns[1])))
            gap = "" if word.misc.get("SpaceAfter") == "No" else word.misc.get("SpacesAfter", " ")
            text += word.columns[1] + gap
    return build_document(text, sentences=sentences, annotations=[_annotation(block) for block in blocks])


def _annotation(block: _Block) -> Annotation:
    return Annotation(
        tags={task: [_plain(word, task) for word in block.words] for task in block.layers("plain_layers")},
        span_tags={task: _tags(block, task) for task in block.layers("span_layers")},
        frames={task: list(_frames(block, task)) for task in block.layers("frame_layers")},
    )


def _plain(word: _Word, task: str) -> str:
    return unescaped(word.columns[TAG_COLUMNS[task]]) if task in TAG_COLUMNS else word.misc.get(task, "_")


def _tags(block: _Block, key: str) -> list[str]:
    return [word.misc.get(key, OUTSIDE) for word in block.words]


def _frames(block: _Block, task: str) -> Iterator[Frame]:
    for number in count(1):
        name = f"{task}.{number}"
        senses = {index: word.misc.get(f"{name}.predicate") for index, word in enumerate(block.words)}
        found = [(index, sense) for index, sense in senses.items() if sense is not None]
        if not found:
            return
        predicate, sense = found[0]
        yield Frame(predicate, "" if sense == "_" else sense, tuple(_tags(block, name)))
