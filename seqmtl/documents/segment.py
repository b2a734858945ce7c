"""Raw text into sentences of words, as character offsets.

Sentence ends are found by `syntok`; it sees the words of `words.py` and, for marks that it does not know, a stand-in.
"""

from collections.abc import Iterator

import regex
from syntok import segmenter
from syntok.tokenizer import Token

from seqmtl.documents.words import ADDRESS, Offsets, words

_PARAGRAPH_END = regex.compile(r"\r?\n[^\S\r\n]*\r?\n")  # an empty line
_INVISIBLE = regex.compile(r"[\p{Cf}\p{Cc}]+")

# Full stops and question marks of Arabic, Urdu, Hindi, Armenian and Ethiopic, which syntok does not know.
_STAND_INS = {"؟": "?", "۔": ".", "।": ".", "։": ".", "።": "."}
_WIDE_STOPS = ("。", "！", "？")  # no space follows them

_INITIALS = regex.compile(r"\p{L}(?:\.\p{L})+")  # U.S, p.m, e.g


def segment(text: str) -> list[list[Offsets]]:
    """Return, for every sentence of ``text``, the offsets of its words (see ``words``).

    No sentence is empty; text without a visible character has none. An empty line always ends a sentence. The full stop
    of an abbreviation belongs to its word, as in treebanks.

    >>> text = "Dr. Smith left at 5 p.m. today. He'll be back."
    >>> [[text[start:end] for start, end in sentence] for sentence in segment(text)]
    [['Dr.', 'Smith', 'left', 'at', '5', 'p.m.', 'today', '.'], ['He', "'ll", 'be', 'back', '.']]
    """
    sentences = []
    for paragraph in _paragraphs(text, words(text)):
        remaining = iter(paragraph)
        for tokens in segmenter.segment(_tokens(text, paragraph)):
            sentences.append(_with_stops(text, [next(remaining) for _ in tokens]))
        assert next(remaining, None) is None, "the segmenter returned fewer words than it was given"
    return sentences


def _paragraphs(text: str, offsets: list[Offsets]) -> Iterator[list[Offsets]]:
    """The words, parted at empty lines."""
    paragraph: list[Offsets] = []
    for start, end in offsets:
        if paragraph and _PARAGRAPH_END.search(text, paragraph[-1][1], start):
            yield paragraph
            paragraph = []
        paragraph.append((start, end))
    if paragraph:
        yield paragraph


def _tokens(text: str, paragraph: list[Offsets]) -> Iterator[Token]:
    """The words as syntok wants them: what stands before each word, the word, and where it starts."""
    before = paragraph[0][0]
    for start, end in paragraph:
        wide = before == start and text.endswith(_WIDE_STOPS, 0, before)
        yield Token(" " if wide else text[before:start], _seen(text[start:end]), start)
        before = end


def _seen(word: str) -> str:
    """The word as the segmenter is to read it: without invisible characters, a run of stops as one stop."""
    visible = _INVISIBLE.sub("", word) or word
    if set(visible) <= {"!", "?"}:
        return visible[-1]
    if len(visible) > 1 and set(visible) == {"."}:
        return "..."
    if ADDRESS.fullmatch(visible):  # its dots would be taken for those of an abbreviation
        return "address"
    return _STAND_INS.get(visible, visible)


def _with_stops(text: str, sentence: list[Offsets]) -> list[Offsets]:
    """Join to its word the full stop of an abbreviation: one inside the sentence, or one after initials."""
    joined = sentence[:1]
    for position, (start, end) in enumerate(sentence[1:], start=1):
        word_start, word_end = joined[-1]
        touches = text[start:end] == "." and word_end == start and text[start - 1].isalpha()
        inside = position + 1 < len(sentence) and sentence[position + 1][0] > end
        if touches and (inside or _INITIALS.fullmatch(text, word_start, word_end)):
            joined[-1] = (word_start, end)
        else:
            joined.append((start, end))
    return joined
