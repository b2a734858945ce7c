r"""Documents as columns in the manner of CoNLL-U. Nothing is lost: ``column_reader.py`` reads it back.

    # newdoc id = 1
    # sent_id = 1-1
    # text = Anna slept.
    # plain_layers = upos
    # span_layers = ner
    # frame_layers = srl
    1   Anna   _   PROPN   _   _   _   _   _   TokenRange=0:4|ner=B-PER|srl.1=B-ARG0
    2   slept  _   VERB    _   _   _   _   _   TokenRange=5:10|SpaceAfter=No|srl.1=B-V|srl.1.predicate=_
    3   .      _   PUNCT   _   _   _   _   _   TokenRange=10:11|SpaceAfter=No

The plain layers ``upos`` and ``xpos`` have their own columns. Everything else stands in MISC, so that every reader of
CoNLL-U can read the file, however many predicates a sentence has:

* ``TokenRange=start:end``: the characters of the word in the raw text (as UDPipe writes them).
* ``SpaceAfter=No``, ``SpacesAfter=...`` and, on the first word of a document, ``SpacesBefore=...``: the white space
  around the word where it is not one space, escaped as in ``escapes.py``.
* ``task=tag``: the other plain layers and the span layers; a word without the key is ``O`` in a span layer.
* ``task.n=tag``: the BIO tag of the word in the n-th frame of the sentence, as in the columns of PropBank; ``C-X``
  marks the further pieces of an argument. ``task.n.predicate=sense`` marks the predicate, ``_`` being an unknown sense.

The comments ``..._layers`` name the layers that the sentence has, for a layer may have nothing to say about a sentence.
"""

import re
from collections.abc import Iterator

from seqmtl.documents.document import Document, Sentence, TaggedFrame
from seqmtl.documents.escapes import escaped
from seqmtl.labels.frames import CONTINUATION, PREDICATE_LABEL
from seqmtl.labels.schemes import OUTSIDE, Scheme, Span, tags_of

TAG_COLUMNS = {"upos": 3, "xpos": 4}
"""The plain layers that CoNLL-U has a column for."""

_WHITE_SPACE = re.compile(r"\s")


def to_columns(document: Document, *, document_id: str = "1") -> str:
    """Write a document, ending in an empty line; a document without words is the empty string.

    ``document_id`` begins the identifiers of its sentences, which should be unique in a file.
    """
    if not document.sentences:
        return ""
    starts = [*(sentence.start for sentence in document.sentences[1:]), len(document.text)]
    lines = [f"# newdoc id = {document_id}"]
    for number, (sentence, following) in enumerate(zip(document.sentences, starts, strict=True), start=1):
        lines += [f"# sent_id = {document_id}-{number}", *_comments(document, sentence)]
        lines += [*_rows(document, sentence, following=following), ""]
    return "\n".join(lines) + "\n"


def _comments(document: Document, sentence: Sentence) -> Iterator[str]:
    yield f"# text = {_WHITE_SPACE.sub(' ', document.text_of(sentence))}"
    yield f"# plain_layers = {' '.join(task for task in sentence.tags if task not in sentence.spans)}"
    yield f"# span_layers = {' '.join(sentence.spans)}"
    yield f"# frame_layers = {' '.join(sentence.frames)}"


def _rows(document: Document, sentence: Sentence, *, following: int) -> Iterator[str]:
    """One line per word; ``following`` is where the next sentence starts."""
    layers = [_spaces(document, sentence, following=following), _tags(sentence)]
    layers += [
        _frame(frame, name=f"{task}.{number}", length=len(sentence.tokens))
        for task, frames in sentence.frames.items()
        for number, frame in enumerate(frames, start=1)
    ]
    for position, token in enumerate(sentence.tokens):
        keys = [key for layer in layers for key in layer[position]]
        tags = [escaped(token.layers.get(task, "_")) for task in TAG_COLUMNS]
        yield "\t".join([str(position + 1), token.text, "_", *tags, "_", "_", "_", "_", "|".join(keys)])


def _spaces(document: Document, sentence: Sentence, *, following: int) -> list[list[str]]:
    """For each word, where it stands and the white space around it."""
    keys = [[f"TokenRange={token.start}:{token.end}"] for token in sentence.tokens]
    if sentence is document.sentences[0] and sentence.start:
        keys[0].append(f"SpacesBefore={escaped(document.text[: sentence.start])}")
    nexts = [*(token.start for token in sentence.tokens[1:]), following]
    for token, after, found in zip(sentence.tokens, nexts, keys, strict=True):
        gap = document.text[token.end : after]
        if not gap:
            found.append("SpaceAfter=No")
        elif gap != " ":
            found.append(f"SpacesAfter={escaped(gap)}")
    return keys


def _tags(sentence: Sentence) -> list[list[str]]:
    """For each word, its tags in the layers without a column of their own."""
    layers = {task: tags for task, tags in sentence.tags.items() if task in sentence.spans or task not in TAG_COLUMNS}
    return [
        [
            f"{task}={escaped(tags[position])}"
            for task, tags in layers.items()
            if task not in sentence.spans or tags[position] != OUTSIDE
        ]
        for position in range(len(sentence.tokens))
    ]


def _frame(frame: TaggedFrame, *, name: str, length: int) -> list[list[str]]:
    """For each word, its part in one frame."""
    spans = [
        Span(piece.start_token, piece.end_token, (CONTINUATION if index else "") + argument.label)
        for argument in frame.arguments
        for index, piece in enumerate(argument.pieces)
    ]
    if not any(span.start <= frame.predicate < span.end for span in spans):
        spans.append(Span(frame.predicate, frame.predicate + 1, PREDICATE_LABEL))
    tags = tags_of(spans, length=length, scheme=Scheme.BIO)
    keys = [[] if tag == OUTSIDE else [f"{name}={escaped(tag)}"] for tag in tags]
    keys[frame.predicate].append(f"{name}.predicate={escaped(frame.sense) or '_'}")
    return keys
