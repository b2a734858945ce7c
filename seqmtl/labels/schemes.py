"""Tagging schemes: how spans over words are written as one tag per word, and how the tags are read back.

A tag is ``O`` or a prefix, a hyphen and a label; everything after the first hyphen is the label, so ``B-C-ARG1`` opens
a ``C-ARG1``. In each scheme a set of spans has exactly one tag sequence:

* IOB1 (Ramshaw and Marcus 1995): ``I`` throughout; ``B`` only where a span touches an earlier one of the same label.
* BIO (also IOB2): ``B`` on the first word of every span, ``I`` on the others.
* BIOES: ``S`` on the only word of a span, else ``B``, ``I`` inside, ``E`` on the last.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from seqmtl.errors import LabelError

OUTSIDE = "O"


class Scheme(StrEnum):
    """How spans are written as tags."""

    IOB1 = "iob1"
    BIO = "bio"
    BIOES = "bioes"

    @property
    def prefixes(self) -> str:
        """The prefixes that the scheme knows, ``O`` included."""
        return "OBIES" if self is Scheme.BIOES else "OBI"


@dataclass(frozen=True, order=True)
class Span:
    """The words ``start`` to ``end`` (exclusive) under one label; ordered by place, then label."""

    start: int
    end: int
    label: str


class Tag(NamedTuple):
    """A tag taken apart; the label of ``O`` is the empty string."""

    prefix: str
    label: str


@lru_cache(maxsize=1 << 14)
def split_tag(tag: str) -> Tag:
    """Take a tag apart at its first hyphen.

    Raises:
        LabelError: when it is neither ``O`` nor one of the prefixes B, I, E, S with a label.
    """
    if tag == OUTSIDE:
        return Tag(OUTSIDE, "")
    prefix, _, label = tag.partition("-")
    if prefix not in ("B", "I", "E", "S") or not label:
        raise LabelError(
            f"{tag!r} is not a span tag; allowed: 'O', 'B-X', 'I-X', 'E-X', 'S-X' for a label X; "
            "a layer without spans, such as part of speech, must be read without a scheme"
        )
    return Tag(prefix, label)


@lru_cache(maxsize=1 << 16)
def may_follow(previous: str, tag: str, scheme: Scheme) -> bool:
    """Whether ``tag`` may stand right after ``previous``; the edges of a sentence behave as an ``O`` does.

    Raises:
        LabelError: when one of the two is not a span tag at all.
    """
    before, after = split_tag(previous), split_tag(tag)
    same = before.label == after.label
    goes_on = before.prefix in "BI" and same  # a span with the label of ``after`` is open
    match scheme:
        case Scheme.IOB1:
            return after.prefix in "OI" or (after.prefix == "B" and goes_on)
        case Scheme.BIO:
            return after.prefix in "OB" or (after.prefix == "I" and goes_on)
        case Scheme.BIOES:
            return (after.prefix in "IE" and same) if before.prefix in "BI" else after.prefix in "OBS"


def recognise(sequences: Iterable[Sequence[str]]) -> Scheme:
    """Return the scheme that the fewest places of a corpus break; BIO when nothing tells them apart.

    Tag sequences with a span are valid in one scheme only, so a sound corpus is recognised for certain. Counting,
    instead of stopping at the first odd place, keeps a corpus with a few broken sentences from being taken for another
    scheme. A corpus written with ``I`` alone (wikigold) is IOB1.

    Raises:
        LabelError: when something in the corpus is not a span tag.
    """
    pairs = Counter(pair for tags in sequences for pair in pairwise([OUTSIDE, *tags, OUTSIDE]))

    def broken(scheme: Scheme) -> int:
        return sum(count for pair, count in pairs.items() if not may_follow(*pair, scheme))

    return min((Scheme.BIO, Scheme.IOB1, Scheme.BIOES), key=broken)  # min keeps the first of equals


def violations(tags: Sequence[str], *, scheme: Scheme) -> list[int]:
    """Return the indices of the tags that may not stand where they do, ascending.

    A span that the end of the sentence leaves open (BIOES) is reported at the last tag.

    Raises:
        LabelError: when something is not a span tag at all, which nothing can repair.
    """
    pairs = pairwise([OUTSIDE, *tags, OUTSIDE])
    broken = {min(index, len(tags) - 1) for index, pair in enumerate(pairs) if not may_follow(*pair, scheme)}
    return sorted(broken)


def spans_of(tags: Sequence[str], *, scheme: Scheme) -> list[Span]:
    """Read tags strictly.

    Raises:
        LabelError: at the first tag that breaks the scheme.
    """
    broken = violations(tags, scheme=scheme)
    if broken:
        raise LabelError(_explain(tags, broken[0], scheme))
    return lenient_spans(tags)


def lenient_spans(tags: Sequence[str]) -> list[Span]:
    """Read tags as conlleval and seqeval's default mode do: broken ones open or close spans, none is an error.

    ``I-X`` and ``E-X`` continue a span of X that ``B-X`` or ``I-X`` keeps open right before them, and open one anywhere
    else. On valid tags of any scheme this is the strict reading.

    Raises:
        LabelError: when something is not a span tag at all.
    """
    spans: list[Span] = []
    before, start = Tag(OUTSIDE, ""), 0
    for index, tag in enumerate([*tags, OUTSIDE]):
        now = split_tag(tag)
        if before.prefix in "BI" and now.prefix in "IE" and before.label == now.label:
            before = now
            continue
        if before.prefix != OUTSIDE:
            spans.append(Span(start, index, before.label))
        before, start = now, index
    return spans


def tags_of(spans: Iterable[Span], *, length: int, scheme: Scheme) -> list[str]:
    """Write spans, in any order, as the tags of a sentence of ``length`` words.

    Raises:
        LabelError: when a span is empty, leaves the sentence or overlaps another one.
    """
    tags = [OUTSIDE] * length
    previous = Span(0, 0, "")
    for span in sorted(spans):
        if not previous.end <= span.start < span.end <= length:
            raise LabelError(
                f"{span} cannot be written in a sentence of {length} words after {previous}; "
                "spans of one layer must not be empty, overlap or leave the sentence"
            )
        touches = previous.end == span.start and previous.label == span.label
        prefixes = _prefixes(span.end - span.start, scheme=scheme, touches=touches)
        tags[span.start : span.end] = [f"{prefix}-{span.label}" for prefix in prefixes]
        previous = span
    return tags


def convert(tags: Sequence[str], *, source: Scheme, target: Scheme) -> list[str]:
    """Rewrite tags from one scheme into another.

    Raises:
        LabelError: when the tags break ``source``.
    """
    return tags_of(spans_of(tags, scheme=source), length=len(tags), scheme=target)


def _prefixes(length: int, *, scheme: Scheme, touches: bool) -> str:
    """The prefixes of one span; ``touches``: the word before it ends a span of the same label."""
    match scheme:
        case Scheme.IOB1:
            return ("B" if touches else "I") + "I" * (length - 1)
        case Scheme.BIO:
            return "B" + "I" * (length - 1)
        case Scheme.BIOES:
            return "S" if length == 1 else "B" + "I" * (length - 2) + "E"


def _explain(tags: Sequence[str], index: int, scheme: Scheme) -> str:
    tag, previous = tags[index], tags[index - 1] if index else None
    if split_tag(tag).prefix not in scheme.prefixes:
        problem = f"{tag!r} has a prefix that the scheme '{scheme}' lacks; allowed: {', '.join(scheme.prefixes)}"
    elif may_follow(previous or OUTSIDE, tag, scheme):
        problem = f"{tag!r} leaves a span open at the end of the sentence; '{scheme}' closes it with E or S"
    else:
        place = f"after {previous!r}" if index else "at the start of the sentence"
        problem = f"{tag!r} may not stand {place} in the scheme '{scheme}'"
    return f"word {index}: {problem}; mend the corpus, name its scheme, or choose the policy 'repair'"
