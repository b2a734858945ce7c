"""Raw text into words, as character offsets.

The words are those of `syntok`, a rule-based tokenizer for European languages, with three corrections: what a person
sees as one character or one address is never cut, a capital inside a word (McDonald, iPhone) does not cut it, and
dashes, slashes, emoji and full-width punctuation do. A word is what lies between two cuts, so that, whatever the
tokenizer says, no character other than white space is lost and nothing is altered. Text written without spaces
(Chinese, Japanese, Thai) is cut at punctuation only.
"""

from itertools import pairwise

import regex
from syntok.tokenizer import Tokenizer

Offsets = tuple[int, int]
"""Start and end (exclusive) of a stretch of text, counted in characters (Unicode code points)."""

# What str.isspace() calls white space, and the zero width space, with which Thai and Khmer part their words.
_VISIBLE = regex.compile(r"[^\s\x1c-\x1f\u200b]+")

_CHARACTER = regex.compile(r"\X")  # an extended grapheme cluster: a letter with its accents, an emoji family, a flag

# The look-behind before an e-mail address keeps the search linear.
ADDRESS = regex.compile(
    r"(?:https?://|ftp://|www\.)[^\s\u200b<>\"]*[\p{L}\p{N}/_=&#-]"  # on the web
    r"|(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"  # for e-mail
)

# One word each, whatever stands around it.
_UNIT = regex.compile(
    ADDRESS.pattern + r"|(?=\p{Extended_Pictographic}|\p{Regional_Indicator})\X"  # emoji
    r"|(?<=\p{L})[nN]['’][tT](?!\p{L})"  # do|n't, DO|N'T
    r"|\d+(?:/\d+)+"  # 1/2, 24/7, 11/17/2004
    r"|[!?]{2,}|([*=~_#+-])\1+|\.{2,}|[–—…]+"  # runs of marks, dashes
    r"|(?<=[\p{L}\d])/(?=[\p{L}\d])"  # and|/|or
    r"|[、。〈-】！，．：；？]"  # full-width punctuation, which no space follows
)

# Cuts that would part a name: Mc|Donald, i|Phone, O|'Brien; and cuts around characters that nobody sees.
_WITHIN_WORD = regex.compile(
    r"(?<=\p{Ll})(?=\p{Lu})|(?<=\p{Lu})(?=['’]\p{Lu}\p{Ll})|(?=[\p{Cf}\p{Cc}])|(?<=[\u00ad\u2060\ufeff])"
)

_TOKENIZER = Tokenizer(emit_hyphen_or_underscore_sep=True, replace_not_contraction=False)


def words(text: str) -> list[Offsets]:
    """Return the offsets of the words of ``text``, in order.

    They are not empty, do not overlap, hold no white space, and cover every other character.

    >>> text = "Don't e-mail O'Brien!"
    >>> [text[start:end] for start, end in words(text)]
    ['Do', "n't", 'e', '-', 'mail', "O'Brien", '!']
    """
    chunks = [chunk.span() for chunk in _VISIBLE.finditer(text)]
    cuts = _cuts(text).union(*chunks)
    return [(start, end) for start, end in pairwise(sorted(cuts)) if _VISIBLE.match(text[start])]


def _cuts(text: str) -> set[int]:
    """The places where one word ends or another starts."""
    cuts: set[int] = set()
    for token in _TOKENIZER.tokenize(text):
        cuts.update((token.offset, token.offset + len(token.value)))
    cuts.difference_update(match.start() for match in _WITHIN_WORD.finditer(text))
    for unit in _UNIT.finditer(text):
        cuts.difference_update(range(unit.start() + 1, unit.end()))
        cuts.update(unit.span())
    if not text.isascii():
        for character in _CHARACTER.finditer(text):
            cuts.difference_update(range(character.start() + 1, character.end()))
    return cuts
