"""Documents as ``Doc`` objects of spaCy, which is optional.

The words of the ``Doc`` are those of the document and, as spaCy has it, white space other than one space between words
is a token too: ``doc.text`` is the raw text, and characters count alike. Then

* ``sent_starts`` are the sentences, white space after a sentence belonging to it;
* ``pos_`` is the layer ``upos`` where its tag is one that spaCy knows, ``tag_`` the layer ``xpos``;
* ``doc.spans[task]`` holds every span layer, and ``doc.ents`` one of them, whose spans may not overlap;
* ``doc.user_data["frames"]`` holds the frames as plain data, which ``Doc.to_bytes`` can write and which needs no
  extension registered for all documents: ``{task: [{"predicate": 3, "sense": "", "arguments": [{"label": "ARG0",
  "pieces": [[0, 1]]}]}]}``, where ``doc[3]`` is the predicate and ``doc[0:1]`` a piece.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seqmtl.documents.document import Document, Sentence, TaggedFrame, TypedSpan
from seqmtl.errors import ConfigError

if TYPE_CHECKING:
    from spacy.tokens import Doc  # type: ignore[import-not-found]
    from spacy.vocab import Vocab  # type: ignore[import-not-found]


@dataclass(frozen=True)
class Layout:
    """The tokens of a ``Doc``: texts, whether a space follows, and the index of each word by its first character."""

    words: list[str] = field(default_factory=list)
    spaces: list[bool] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> "Layout":
        """Lay out the words and the white space of a document."""
        layout = cls()
        end = 0
        for token in (token for sentence in document.sentences for token in sentence.tokens):
            layout._add_gap(document.text[end : token.start])
            layout.places[token.start] = len(layout.words)
            layout._add(token.text)
            end = token.end
        layout._add_gap(document.text[end:])
        return layout

    def extent(self, sentence: Sentence, span: TypedSpan) -> tuple[int, int]:
        """The tokens of a span, the end exclusive."""
        first, last = sentence.tokens[span.start_token], sentence.tokens[span.end_token - 1]
        return self.places[first.start], self.places[last.start] + 1

    def _add_gap(self, gap: str) -> None:
        if self.words and gap.startswith(" "):
            self.spaces[-1] = True
            gap = gap[1:]
        if gap:
            self._add(gap)

    def _add(self, word: str) -> None:
        self.words.append(word)
        self.spaces.append(False)


def to_spacy(document: Document, *, vocab: "Vocab | None" = None, entities: str = "ner") -> "Doc":
    """The document as spaCy has it.

    Args:
        document: what to convert.
        vocab: the vocabulary of the pipeline that goes on with it (``nlp.vocab``); None: a new one.
        entities: the span layer that becomes ``doc.ents``, where the document has it.

    Raises:
        ConfigError: when spaCy is not installed.
    """
    try:
        from spacy.parts_of_speech import IDS  # type: ignore[import-not-found]
        from spacy.tokens import Doc, Span  # type: ignore[import-not-found]
        from spacy.vocab import Vocab  # type: ignore[import-not-found]
    except ModuleNotFoundError:
        raise ConfigError("to_spacy: spaCy is not installed; pip install 'seqmtl[spacy]'") from None
    layout = Layout.of(document)
    doc = Doc(
        Vocab() if vocab is None else vocab,
        words=layout.words,
        spaces=layout.spaces,
        tags=_tags(document, layout, "xpos"),
        pos=[tag if tag in IDS else "" for tag in _tags(document, layout, "upos")],
        sent_starts=_sentence_starts(document, layout),
        user_data={"frames": _frames(document, layout)},
    )
    spans: dict[str, list[Span]] = {}
    for sentence in document.sentences:
        for task, layer in sentence.spans.items():
            found = [Span(doc, *layout.extent(sentence, span), label=span.label) for span in layer]
            spans.setdefault(task, []).extend(found)
    for task, found in spans.items():
        doc.spans[task] = found
    doc.set_ents(spans.get(entities, []))
    return doc


def _tags(document: Document, layout: Layout, task: str) -> list[str]:
    tags = [""] * len(layout.words)
    for token in (token for sentence in document.sentences for token in sentence.tokens):
        tags[layout.places[token.start]] = token.layers.get(task, "")
    return tags


def _sentence_starts(document: Document, layout: Layout) -> list[bool]:
    starts = {layout.places[sentence.start] for sentence in document.sentences[1:]}
    return [index == 0 or index in starts for index in range(len(layout.words))]


def _frames(document: Document, layout: Layout) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for sentence in document.sentences:
        for task, frames in sentence.frames.items():
            found.setdefault(task, []).extend(_frame(sentence, layout, frame) for frame in frames)
    return found


def _frame(sentence: Sentence, layout: Layout, frame: TaggedFrame) -> dict[str, Any]:
    arguments = [
        {"label": argument.label, "pieces": [list(layout.extent(sentence, piece)) for piece in argument.pieces]}
        for argument in frame.arguments
    ]
    predicate = layout.places[sentence.tokens[frame.predicate].start]
    return {"predicate": predicate, "sense": frame.sense, "arguments": arguments}
