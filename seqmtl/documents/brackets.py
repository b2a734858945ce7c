"""Labelled brackets in text, coloured by label: ``[PER Anna] saw [LOC Paris]``. They read the same without colour."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.text import Text

from seqmtl.documents.document import TypedSpan
from seqmtl.documents.words import Offsets

# The colours that every terminal has; those of the commonest labels are chosen, so that neighbours differ.
_COLOURS = ("cyan", "magenta", "green", "blue", "red", "yellow", "bright_cyan", "bright_magenta", "bright_green")
_CHOSEN = {
    label: colour
    for colour, labels in {
        "cyan": "PER PERSON NP ARG0",
        "magenta": "ORG VP ARG1",
        "green": "LOC GPE PP ARG2",
        "yellow": "MISC ADVP ARGM-TMP",
        "blue": "SBAR ARGM-LOC",
        "red": "ADJP ARGM-MOD",
    }.items()
    for label in labels.split()
}

_ELLIPSIS = " … "
_JOINT = "\ue000"  # stands between a label and its first word until lines are broken, for they belong on one line
_SPACE = re.compile(r"\s+")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000]")


@dataclass(frozen=True)
class Line:
    """A renderable of text with brackets, broken into lines only where words and brackets part."""

    text: Text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Break the text into lines as wide as there is room."""
        for line in self.text.wrap(console, options.max_width, overflow="fold"):
            line.plain = line.plain.replace(_JOINT, " ")
            yield line

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As wide as the text."""
        return Measurement.get(console, options, self.text)


def colour(label: str) -> str:
    """The colour of a label, the same in every document."""
    return _CHOSEN.get(label) or _COLOURS[crc32(label.encode("utf-8", "replace")) % len(_COLOURS)]


def shown(text: str) -> str:
    r"""Text as a terminal may see it: white space as one space, control characters as their pictures.

    >>> shown("red:\x1b[31m")
    'red:␛[31m'
    """
    return _UNPRINTABLE.sub(_picture, _SPACE.sub(" ", text))


def bracketed(text: str, *, extent: Offsets, spans: Sequence[TypedSpan]) -> Line:
    """The characters ``extent`` of ``text`` with brackets around the spans, which must be in order."""
    line = Text()
    cursor = extent[0]
    for span in spans:
        line.append(shown(text[cursor : span.start])).append_text(_bracket(span))
        cursor = span.end
    return Line(line.append(shown(text[cursor : extent[1]])))


def excerpt(text: str, *, predicate: Offsets, spans: Sequence[TypedSpan]) -> Line:
    """The predicate of a frame and its ``spans`` in brackets, an ellipsis where words between them are left out."""
    pieces = [((span.start, span.end), _bracket(span)) for span in spans]
    if not any(start <= predicate[0] < end for (start, end), _ in pieces):
        pieces.append((predicate, Text(shown(text[slice(*predicate)]), style="bold underline")))
    line = Text()
    cursor = None
    for (start, end), piece in sorted(pieces, key=lambda piece: piece[0]):
        line.append("" if cursor is None else _between(text[cursor:start])).append_text(piece)
        cursor = end
    return Line(line)


def joined(spans: Sequence[TypedSpan]) -> Line:
    """The pieces of one argument, brackets only."""
    return Line(Text(_ELLIPSIS).join(_bracket(span) for span in spans))


def _bracket(span: TypedSpan) -> Text:
    style = colour(span.label)
    return Text.assemble("[", (shown(span.label), f"bold {style}"), _JOINT, (shown(span.text), style), "]")


def _between(gap: str) -> str:
    return _ELLIPSIS if any(character.isalnum() for character in gap) else shown(gap)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\N{REPLACEMENT CHARACTER}"
