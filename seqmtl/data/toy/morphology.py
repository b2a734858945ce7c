"""English inflection for the words of the toy lexicon: regular rules, and tables of what breaks them."""

from dataclasses import dataclass

_IRREGULAR_PLURALS = {
    "child": "children",
    "man": "men",
    "woman": "women",
    "fish": "fish",
    "fisherman": "fishermen",
    "chairman": "chairmen",
    "spokesman": "spokesmen",
    "knife": "knives",
    "wife": "wives",
    "leaf": "leaves",
    "loaf": "loaves",
    "shelf": "shelves",
    "thief": "thieves",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "analysis": "analyses",
    "crisis": "crises",
    "thesis": "theses",
    "scarf": "scarves",
}

# lemma: past tense, past participle
_IRREGULAR_VERBS = {
    "be": ("was", "been"),
    "beat": ("beat", "beaten"),
    "begin": ("began", "begun"),
    "break": ("broke", "broken"),
    "bring": ("brought", "brought"),
    "build": ("built", "built"),
    "buy": ("bought", "bought"),
    "choose": ("chose", "chosen"),
    "do": ("did", "done"),
    "draw": ("drew", "drawn"),
    "drive": ("drove", "driven"),
    "eat": ("ate", "eaten"),
    "fall": ("fell", "fallen"),
    "feel": ("felt", "felt"),
    "find": ("found", "found"),
    "forget": ("forgot", "forgotten"),
    "freeze": ("froze", "frozen"),
    "get": ("got", "got"),
    "give": ("gave", "given"),
    "go": ("went", "gone"),
    "grow": ("grew", "grown"),
    "hang": ("hung", "hung"),
    "have": ("had", "had"),
    "hear": ("heard", "heard"),
    "hide": ("hid", "hidden"),
    "hold": ("held", "held"),
    "keep": ("kept", "kept"),
    "know": ("knew", "known"),
    "leave": ("left", "left"),
    "lend": ("lent", "lent"),
    "lose": ("lost", "lost"),
    "make": ("made", "made"),
    "meet": ("met", "met"),
    "pay": ("paid", "paid"),
    "put": ("put", "put"),
    "read": ("read", "read"),
    "rise": ("rose", "risen"),
    "run": ("ran", "run"),
    "say": ("said", "said"),
    "see": ("saw", "seen"),
    "sell": ("sold", "sold"),
    "send": ("sent", "sent"),
    "set": ("set", "set"),
    "show": ("showed", "shown"),
    "sing": ("sang", "sung"),
    "sleep": ("slept", "slept"),
    "speak": ("spoke", "spoken"),
    "steal": ("stole", "stolen"),
    "swim": ("swam", "swum"),
    "take": ("took", "taken"),
    "teach": ("taught", "taught"),
    "tear": ("tore", "torn"),
    "tell": ("told", "told"),
    "think": ("thought", "thought"),
    "throw": ("threw", "thrown"),
    "win": ("won", "won"),
    "write": ("wrote", "written"),
}
_IRREGULAR_THIRD = {"be": "is", "do": "does", "go": "goes", "have": "has"}
_DOUBLING = frozenset(
    "admit ban beg begin cancel drop forget get grab hug knit plan put refer rob run set shop skip stop submit swim"
    " transfer travel trim win wrap".split()
)
_VOWELS = "aeiou"
_SOUNDS_LIKE_YOU = ("uni", "use", "usu", "eu", "one", "ukr")
_SILENT_H = ("hour", "honest", "heir", "honor", "honour")


@dataclass(frozen=True)
class VerbForms:
    """The five written forms of a verb, named by what they are; ``regular`` says whether the rules made them."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str
    regular: bool


def is_irregular_verb(lemma: str) -> bool:
    """Whether the past tense of ``lemma`` has to be learned by heart."""
    return lemma in _IRREGULAR_VERBS


def verb_forms(lemma: str) -> VerbForms:
    """Inflect a verb.

    >>> verb_forms("carry").past, verb_forms("plan").gerund, verb_forms("write").participle
    ('carried', 'planning', 'written')
    """
    third = _IRREGULAR_THIRD.get(lemma, _add_s(lemma))
    past, participle = _IRREGULAR_VERBS.get(lemma, (_regular_past(lemma),) * 2)
    return VerbForms(lemma, third, past, participle, _gerund(lemma), lemma not in _IRREGULAR_VERBS)


def plural(noun: str) -> str:
    """The plural of a noun.

    >>> plural("city"), plural("boy"), plural("child"), plural("box")
    ('cities', 'boys', 'children', 'boxes')
    """
    return _IRREGULAR_PLURALS.get(noun) or _add_s(noun)


def article_before(word: str) -> str:
    """The indefinite article that stands before ``word``, by its sound.

    >>> [article_before(word) for word in ("apple", "bridge", "university", "hour")]
    ['an', 'a', 'a', 'an']
    """
    lower = word.lower()
    if lower.startswith(_SOUNDS_LIKE_YOU):
        return "a"
    return "an" if lower[0] in _VOWELS or lower.startswith(_SILENT_H) else "a"


def _add_s(word: str) -> str:
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word[:-1] + "ies" if _ends_in_consonant_y(word) else word + "s"


def _regular_past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    if verb in _DOUBLING:
        return verb + verb[-1] + "ed"
    return verb[:-1] + "ied" if _ends_in_consonant_y(verb) else verb + "ed"


def _gerund(verb: str) -> str:
    if verb in _DOUBLING:
        return verb + verb[-1] + "ing"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")):
        return verb[:-1] + "ing"
    return verb + "ing"


def _ends_in_consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in _VOWELS
