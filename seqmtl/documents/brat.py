r"""Documents as standoff annotation of BRAT: the ``.ann`` file beside a ``.txt`` file that holds the raw text as it is.

    T1  PER 0 4             Anna
    T2  srl-predicate 9 15  called
    #1  AnnotatorNotes T2   call.03
    T3  srl-argument 0 4    Anna
    R1  ARG0 Arg1:T2 Arg2:T3

* A span is a T line; its type is its label. Types are letters, digits, ``-`` and ``_``; anything else becomes ``_``.
* A frame of the task ``srl`` is a T line for its predicate, with a note for its sense where there is one, and for every
  argument a relation from it, whose type is the label. Frames share the T line of an argument of the same words.
  They are no events, because an event tells two arguments of one role apart by a number after the role's name, so that
  ``ARG0`` would be read as another ``ARG``.
* The pieces of an argument are fragments of one T line (``0 4;16 19``). Spans are parted into fragments at line breaks
  and tabs too, which may not stand in the file.
* Plain layers are left out: BRAT has no place for a tag but on a span, and a span on every word would hide the others.

Offsets count Unicode code points and end exclusively, in BRAT as here.
"""

import re
from collections.abc import Sequence
from itertools import chain

from seqmtl.documents.document import Document, FrameArgument, TaggedFrame
from seqmtl.documents.words import Offsets

# Words and the white space between them, without what str.splitlines() and tabs part.
_FRAGMENT = re.compile(r"\S+(?:[^\S\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+\S+)*")
_NOT_IN_TYPES = re.compile(r"[^A-Za-z0-9_-]")


def to_brat(document: Document) -> str:
    """The lines of the ``.ann`` file; without spans and frames it is empty."""
    writer = _Writer(document.text)
    for sentence in document.sentences:
        for span in chain.from_iterable(sentence.spans.values()):
            writer.text_bound(span.label, [(span.start, span.end)])
        for task, frames in sentence.frames.items():
            for frame in frames:
                token = sentence.tokens[frame.predicate]
                writer.frame(task, frame, predicate=(token.start, token.end))
    return "".join(f"{line}\n" for line in writer.lines)


class _Writer:
    """Collects lines, numbering each kind from 1."""

    def __init__(self, text: str) -> None:
        self.lines: list[str] = []
        self._text = text
        self._counts: dict[str, int] = {}
        self._arguments: dict[tuple[str, tuple[Offsets, ...]], str] = {}

    def text_bound(self, label: str, pieces: Sequence[Offsets]) -> str:
        """Write a T line and return its id."""
        fragments = [match.span() for piece in pieces for match in _FRAGMENT.finditer(self._text, *piece)]
        offsets = ";".join(f"{start} {end}" for start, end in fragments)
        text = " ".join(self._text[start:end] for start, end in fragments)
        return self._line("T", f"{_type(label)} {offsets}\t{text}")

    def frame(self, task: str, frame: TaggedFrame, *, predicate: Offsets) -> None:
        """Write the lines of a frame."""
        source = self.text_bound(f"{task}-predicate", [predicate])
        if frame.sense:
            self._line("#", f"AnnotatorNotes {source}\t{' '.join(frame.sense.split())}")
        for argument in frame.arguments:
            target = self._argument(task, argument)
            self._line("R", f"{_type(argument.label)} Arg1:{source} Arg2:{target}")

    def _argument(self, task: str, argument: FrameArgument) -> str:
        """The id of the words of an argument, which frames of one task share."""
        pieces = tuple((piece.start, piece.end) for piece in argument.pieces)
        if (task, pieces) not in self._arguments:
            self._arguments[task, pieces] = self.text_bound(f"{task}-argument", pieces)
        return self._arguments[task, pieces]

    def _line(self, kind: str, content: str) -> str:
        self._counts[kind] = self._counts.get(kind, 0) + 1
        name = f"{kind}{self._counts[kind]}"
        self.lines.append(f"{name}\t{content}")
        return name


def _type(label: str) -> str:
    return _NOT_IN_TYPES.sub("_", label) or "_"
