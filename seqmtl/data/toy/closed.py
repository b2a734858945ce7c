"""Closed-class words with their tags; every split uses all of them."""

from seqmtl.data.toy.morphology import article_before
from seqmtl.data.toy.tree import Token

THE = Token("the", "DET", "DT")
POSSESSIVE = Token("'s", "PART", "POS")
TO_VERB = Token("to", "PART", "TO")
NOT = Token("not", "PART", "RB")
CONTRACTED_NOT = Token("n't", "PART", "RB")
NEVER = Token("never", "ADV", "RB")
THERE = Token("there", "PRON", "EX")
PLEASE = Token("please", "INTJ", "UH")

AND = Token("and", "CCONJ", "CC")
OR = Token("or", "CCONJ", "CC")
BUT = Token("but", "CCONJ", "CC")

COMMA = Token(",", "PUNCT", ",")
PERIOD = Token(".", "PUNCT", ".")
QUESTION = Token("?", "PUNCT", ".")
EXCLAMATION = Token("!", "PUNCT", ".")
SEMICOLON = Token(";", "PUNCT", ":")
COLON = Token(":", "PUNCT", ":")
DASH = Token("--", "PUNCT", ":")
OPEN_QUOTE = Token('"', "PUNCT", "``")
CLOSE_QUOTE = Token('"', "PUNCT", "''")

WHO = Token("who", "PRON", "WP")
WHAT = Token("what", "PRON", "WP")
WHICH = Token("which", "PRON", "WDT")
RELATIVE_THAT = Token("that", "PRON", "WDT")
THAT_CLAUSE = Token("that", "SCONJ", "IN")
PRONOUN_THAT = Token("that", "PRON", "DT")


def preposition(text: str) -> Token:
    """A preposition; ``to`` before a noun phrase is IN here, as in English Web Treebank and OntoNotes."""
    return Token(text, "ADP", "IN")


def adverb(text: str) -> Token:
    """An adverb."""
    return Token(text, "ADV", "RB")


def adjective(text: str) -> Token:
    """An adjective."""
    return Token(text, "ADJ", "JJ")


def noun(text: str, *, plural: bool = False) -> Token:
    """A common noun in the form already given."""
    return Token(text, "NOUN", "NNS" if plural else "NN")


def name(text: str) -> list[Token]:
    """A proper name of one or more words."""
    return [Token(part, "PROPN", "NNP") for part in text.split(" ")]


def number(text: str) -> Token:
    """A number in words or digits."""
    return Token(text, "NUM", "CD")


def indefinite(following: str) -> Token:
    """``a`` or ``an``."""
    return Token(article_before(following), "DET", "DT")


def subordinator(text: str) -> Token:
    """A conjunction that opens a clause; ``when`` is a WRB adverb in both tag sets."""
    return Token(text, "ADV", "WRB") if text == "when" else Token(text, "SCONJ", "IN")
