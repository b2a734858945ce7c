"""What an uncased encoder does not see: how a word is capitalised."""

from seqmtl.batch import LetterCase


def letter_case(word: str) -> LetterCase:
    """How ``word`` is capitalised.

    >>> [letter_case(word).name for word in ("dog", "I", "NATO", "Anna", "iPhone", "1990", "!")]
    ['LOWER', 'CAPITAL', 'UPPER', 'TITLE', 'MIXED', 'DIGITS', 'OTHER']
    """
    if word.islower():
        return LetterCase.LOWER
    if word.isupper():
        return LetterCase.CAPITAL if len(word) == 1 else LetterCase.UPPER
    if word[:1].isupper() and word[1:].islower():
        return LetterCase.TITLE
    if any(character.isalpha() for character in word):
        return LetterCase.MIXED
    return LetterCase.DIGITS if any(character.isdigit() for character in word) else LetterCase.OTHER
