"""An annotated document: raw text, its sentences, and what a model (or a person) said about them.

Every word, span and argument knows two places: its words, counted within the sentence, and its characters, counted
within the raw text (Unicode code points, as Python indexes strings). Ends are exclusive. ``text[start:end]`` is always
the ``text`` of a word or a span. There are many of these objects: slots halve what they take, and what the garbage
collector goes through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqmtl.documents.words import Offsets
from seqmtl.labels.frames import Frame, arguments
from seqmtl.labels.schemes import lenient_spans


@dataclass(frozen=True, slots=True)
class Token:
    """A word: its text, its characters, and one tag for each plain layer (``{"upos": "NOUN"}``)."""

    text: str
    start: int
    end: int
    layers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TypedSpan:
    """Consecutive words under one label, such as a name or a chunk."""

    label: str
    start_token: int
    end_token: int
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class FrameArgument:
    """An argument of a predicate; most have one piece, those continued by ``C-`` tags several.

    ``text`` joins the pieces with " ... ". The label of every piece is that of the argument.
    """

    label: str
    pieces: tuple[TypedSpan, ...]
    text: str


@dataclass(frozen=True, slots=True)
class TaggedFrame:
    """A predicate (the index of its word in the sentence) with its arguments, ordered by their first word.

    ``sense`` is empty where no model of senses has spoken.
    """

    predicate: int
    sense: str
    arguments: tuple[FrameArgument, ...]


@dataclass(frozen=True, slots=True)
class Sentence:
    """The words of a sentence and its layers, by task.

    ``tags`` holds one tag per word for the plain layers and for the span layers alike; the plain ones are repeated in
    ``Token.layers``, the span layers are read into ``spans``.
    """

    tokens: tuple[Token, ...]
    tags: dict[str, tuple[str, ...]]
    spans: dict[str, tuple[TypedSpan, ...]]
    frames: dict[str, tuple[TaggedFrame, ...]]

    @property
    def start(self) -> int:
        """The first character, in the raw text."""
        return self.tokens[0].start

    @property
    def end(self) -> int:
        """The character after the last one."""
        return self.tokens[-1].end


@dataclass(frozen=True, slots=True)
class Document:
    """Raw text and its sentences, each of which has at least one word."""

    text: str
    sentences: tuple[Sentence, ...]

    def text_of(self, part: Token | TypedSpan | Sentence) -> str:
        """The raw text of a part of this document."""
        return self.text[part.start : part.end]


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of one sentence, word by word; the keys are the names of the tasks.

    Attributes:
        tags: plain layers, one tag per word.
        span_tags: span layers as BIO, IOB1 or BIOES tags, one per word; broken sequences are read leniently.
        frames: the frames of each frame layer; their tags are read leniently too.
    """

    tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    span_tags: Mapping[str, Sequence[str]] = field(default_factory=dict)
    frames: Mapping[str, Sequence[Frame]] = field(default_factory=dict)


def build_document(
    text: str, *, sentences: Sequence[Sequence[Offsets]], annotations: Sequence[Annotation] | None = None
) -> Document:
    """Put together raw text, the character offsets of its words (see ``segment``) and the annotation of each sentence.

    Without ``annotations`` the document is bare: words and sentences only.

    Raises:
        LabelError: when a tag of a span layer or of a frame is not a span tag at all.
    """
    known = [Annotation()] * len(sentences) if annotations is None else annotations
    assert len(known) == len(sentences), f"{len(known)} annotations for {len(sentences)} sentences"
    built = [_sentence(text, offsets, annotation) for offsets, annotation in zip(sentences, known, strict=True)]
    return Document(text=text, sentences=tuple(built))


def _sentence(text: str, offsets: Sequence[Offsets], annotation: Annotation) -> Sentence:
    assert offsets, "a sentence has at least one word"
    tags = {task: tuple(layer) for task, layer in (*annotation.tags.items(), *annotation.span_tags.items())}
    for task, layer in tags.items():
        assert len(layer) == len(offsets), f"{task}: {len(layer)} tags for {len(offsets)} words"
    tokens = [
        Token(text[start:end], start, end, {task: layer[position] for task, layer in annotation.tags.items()})
        for position, (start, end) in enumerate(offsets)
    ]
    spans = {
        task: tuple(_span(text, offsets, (span.start, span.end), span.label) for span in lenient_spans(layer))
        for task, layer in annotation.span_tags.items()
    }
    frames = {task: tuple(_frame(text, offsets, frame) for frame in layer) for task, layer in annotation.frames.items()}
    return Sentence(tokens=tuple(tokens), tags=tags, spans=spans, frames=frames)


def _span(text: str, offsets: Sequence[Offsets], words: tuple[int, int], label: str) -> TypedSpan:
    start, end = offsets[words[0]][0], offsets[words[1] - 1][1]
    return TypedSpan(label, words[0], words[1], start, end, text[start:end])


def _frame(text: str, offsets: Sequence[Offsets], frame: Frame) -> TaggedFrame:
    assert len(frame.tags) == len(offsets), f"{len(frame.tags)} tags of a frame for {len(offsets)} words"
    found = []
    for argument in arguments(frame.tags):
        pieces = tuple(_span(text, offsets, piece, argument.label) for piece in argument.pieces)
        found.append(FrameArgument(argument.label, pieces, " ... ".join(piece.text for piece in pieces)))
    return TaggedFrame(predicate=frame.predicate, sense=frame.sense, arguments=tuple(found))
