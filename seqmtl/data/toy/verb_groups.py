"""Verb groups: auxiliaries, negation, adverbs inside, and the main verb in the form that its left neighbour asks."""

from dataclasses import dataclass
from enum import Enum, auto

from seqmtl.data.toy import closed, lexicon
from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.morphology import VerbForms, verb_forms
from seqmtl.data.toy.tree import LabelledNode, Leaf, Token, outside

_MODALS = ("will", "will", "would", "can", "could", "may", "might", "must", "should")
_FREQUENCIES = ("often", "always", "usually", "rarely", "sometimes")
_MOMENTS = ("recently", "already", "finally", "soon", "once", "still")
_STATIVE = frozenset(
    "have like love know want believe belong own trust depend fear admire respect matter exist doubt suppose hear see"
    " feel forget mention miss notice require inherit".split()
)
_UNCONTRACTED = ("am", "may", "might")
_BEFORE_CONTRACTION = {"will": "wo", "can": "ca"}
_CONTRACTED = {"am": "'m", "is": "'s", "are": "'re", "has": "'s", "have": "'ve", "will": "'ll", "would": "'d"}
_BE_PRESENT = {(1, False): "am", (3, False): "is"}


class Tense(Enum):
    """The tense of a finite clause; MODAL means a modal verb carries it."""

    PAST = auto()
    PRESENT = auto()
    MODAL = auto()


@dataclass(frozen=True)
class Agreement:
    """What a subject imposes on its verb."""

    person: int = 3
    plural: bool = False


@dataclass(frozen=True)
class VerbGroup:
    """A built verb group.

    ``front`` is the auxiliary that a question moves before the subject (None otherwise), ``leaves`` the rest in order,
    ``head`` the main verb and ``modifiers`` the modal, negation and adverbs as arguments of the verb.
    """

    front: Leaf | None
    leaves: tuple[Leaf, ...]
    head: Leaf
    modifiers: tuple[LabelledNode, ...]


class _Form(Enum):
    FINITE = auto()
    BASE = auto()
    PARTICIPLE = auto()
    GERUND = auto()


_BE, _HAVE, _DO = verb_forms("be"), verb_forms("have"), verb_forms("do")
_ITEM = tuple[Token, str | None]  # a word and its label as a modifier; the main verb is labelled V


def finite_group(
    dice: Dice,
    verb: VerbForms,
    *,
    tense: Tense,
    agreement: Agreement,
    passive: bool = False,
    question: bool = False,
    after_pronoun: bool = False,
) -> VerbGroup:
    """A finite verb group with aspect, negation and an adverb chosen by ``dice``.

    ``passive`` adds *be*; ``question`` splits the first auxiliary off; ``after_pronoun`` lets it be contracted.
    """
    negated = dice.chance(0.05 if question else 0.1)
    helpers = _helpers(dice, tense=tense, passive=passive, progressive=verb.base not in _STATIVE)
    if not helpers and (negated or question):
        helpers = [(_DO, _Form.BASE)]
    items = _inflected(dice, helpers, verb, tense=tense, agreement=agreement)
    if negated:
        items[:1] = _negated(dice, items[0], contractible=not question)
    elif dice.chance(0.12):
        adverb = _adverb(dice, tense, lone=len(items) == 1)
        place = -1 if len(items) == 1 or adverb[1] == "ARGM-MNR" else 1
        items[place:place] = [adverb]
    if after_pronoun and helpers and not negated and items[0][0].text in _CONTRACTED and dice.chance(0.5):
        items[0] = (items[0][0]._replace(text=_CONTRACTED[items[0][0].text]), items[0][1])
    front = outside(items.pop(0)[0]) if question else None
    front_label: tuple[LabelledNode, ...] = ()
    if front is not None and front.token.xpos == "MD":
        front_label = (("ARGM-MOD", front),)
    return _assembled(items, front, front_label)


def infinitive_group(dice: Dice, verb: VerbForms, *, joined: bool) -> VerbGroup:
    """``to leave``; ``joined`` when the governing verb stands right before it, whose chunk it then continues."""
    items: list[_ITEM] = [(closed.TO_VERB, None), (_inflect(verb, _Form.BASE), "V")]
    if dice.chance(0.03):
        items[:0] = [(closed.NOT, "ARGM-NEG")]
    group = _assembled(items, None, ())
    if not joined:
        return group
    return _continued(group)


def bare_group(dice: Dice, verb: VerbForms) -> VerbGroup:
    """The base form of an imperative, perhaps after ``do n't``."""
    items: list[_ITEM] = [(_inflect(verb, _Form.BASE), "V")]
    if dice.chance(0.2):
        not_ = closed.CONTRACTED_NOT if dice.chance(0.6) else closed.NOT
        items[:0] = [(Token("do", "AUX", "VB"), None), (not_, "ARGM-NEG")]
    return _assembled(items, None, ())


def participle_group(verb: VerbForms) -> VerbGroup:
    """The past participle alone, as in ``the book written by Anna``."""
    return _assembled([(_inflect(verb, _Form.PARTICIPLE), "V")], None, ())


def copula(dice: Dice, *, tense: Tense, agreement: Agreement, contracted: bool) -> tuple[Leaf, ...]:
    """A form of *be* as main verb, which UD calls an auxiliary and which has no frame here.

    ``contracted`` writes the present as it is spoken after a pronoun: ``she 's``, ``they 're``.
    """
    items = _inflected(dice, [], _BE, tense=tense, agreement=agreement, verb_tag="AUX")
    if contracted and tense is Tense.PRESENT:
        token, label = items[0]
        items[0] = (token._replace(text=_CONTRACTED[token.text]), label)
    elif dice.chance(0.12):
        items[:1] = _negated(dice, items[0], contractible=True)
    return tuple(Leaf(token, f"{'I' if i else 'B'}-VP") for i, (token, _) in enumerate(items))


def _helpers(dice: Dice, *, tense: Tense, passive: bool, progressive: bool) -> list[tuple[VerbForms, _Form]]:
    """Auxiliaries, each with the form that it asks of the word after it."""
    helpers: list[tuple[VerbForms, _Form]] = []
    if dice.chance(0.12):
        helpers.append((_HAVE, _Form.PARTICIPLE))
    if progressive and not passive and dice.chance(0.09):
        helpers.append((_BE, _Form.GERUND))
    if passive:
        helpers.append((_BE, _Form.PARTICIPLE))
    if tense is Tense.MODAL:
        modal = dice.pick(_MODALS)
        helpers.insert(0, (VerbForms(modal, modal, modal, modal, modal, False), _Form.BASE))
    return helpers


def _inflected(
    dice: Dice,
    helpers: list[tuple[VerbForms, _Form]],
    verb: VerbForms,
    *,
    tense: Tense,
    agreement: Agreement,
    verb_tag: str = "VERB",
) -> list[_ITEM]:
    items: list[_ITEM] = []
    form = _Form.FINITE
    if tense is Tense.MODAL and not helpers:  # a copula after a modal
        items.append((Token(dice.pick(_MODALS), "AUX", "MD"), None))
        form = _Form.BASE
    for helper, asks in helpers:
        if tense is Tense.MODAL and not items:
            items.append((Token(helper.base, "AUX", "MD"), "ARGM-MOD"))
        else:
            items.append((_inflect(helper, form, tense=tense, agreement=agreement, upos="AUX"), None))
        form = asks
    items.append((_inflect(verb, form, tense=tense, agreement=agreement, upos=verb_tag), "V"))
    return items


def _inflect(
    verb: VerbForms,
    form: _Form,
    *,
    tense: Tense = Tense.PRESENT,
    agreement: Agreement | None = None,
    upos: str = "VERB",
) -> Token:
    match form:
        case _Form.BASE:
            return Token(verb.base, upos, "VB")
        case _Form.PARTICIPLE:
            return Token(verb.participle, upos, "VBN")
        case _Form.GERUND:
            return Token(verb.gerund, upos, "VBG")
        case _Form.FINITE:
            assert agreement is not None
            assert tense is not Tense.MODAL
            return _finite(verb, tense, agreement, upos)


def _finite(verb: VerbForms, tense: Tense, agreement: Agreement, upos: str) -> Token:
    singular_third = agreement.person == 3 and not agreement.plural
    if tense is Tense.PAST:
        past = verb.past
        if verb is _BE:
            past = "was" if agreement.person != 2 and not agreement.plural else "were"
        return Token(past, upos, "VBD")
    if verb is _BE:
        text = _BE_PRESENT.get((agreement.person, agreement.plural), "are")
        return Token(text, upos, "VBZ" if singular_third else "VBP")
    return Token(verb.third, upos, "VBZ") if singular_third else Token(verb.base, upos, "VBP")


def _negated(dice: Dice, auxiliary: _ITEM, *, contractible: bool) -> list[_ITEM]:
    """The auxiliary with its negation: ``did not``, ``did n't``, ``wo n't``."""
    token, label = auxiliary
    if not contractible or token.text in _UNCONTRACTED or dice.chance(0.5):
        return [auxiliary, (closed.NOT, "ARGM-NEG")]
    short = token._replace(text=_BEFORE_CONTRACTION.get(token.text, token.text))
    return [(short, label), (closed.CONTRACTED_NOT, "ARGM-NEG")]


def _adverb(dice: Dice, tense: Tense, *, lone: bool) -> _ITEM:
    roll = dice.number(1, 10)
    if roll <= 2:
        return closed.NEVER, "ARGM-NEG"
    if roll <= 5:
        return closed.adverb(dice.word(lexicon.MANNERS)), "ARGM-MNR"
    usual = _FREQUENCIES if tense is Tense.PRESENT and lone else _MOMENTS
    return closed.adverb(dice.pick(usual)), "ARGM-TMP"


def _assembled(items: list[_ITEM], front: Leaf | None, modifiers: tuple[LabelledNode, ...]) -> VerbGroup:
    """Place the words in chunks: an adverb before a lone verb is an ADVP, every other word belongs to the VP."""
    leaves: list[Leaf] = []
    labelled = list(modifiers)
    head: Leaf | None = None
    inside = False
    for token, label in items:
        if token.upos == "ADV" and not inside:
            leaf = Leaf(token, "B-ADVP")
        else:
            leaf = Leaf(token, "I-VP" if inside else "B-VP")
            inside = True
        leaves.append(leaf)
        if label == "V":
            head = leaf
        elif label is not None:
            labelled.append((label, leaf))
    assert head is not None
    return VerbGroup(front, tuple(leaves), head, tuple(labelled))


def _continued(group: VerbGroup) -> VerbGroup:
    """The same group as the continuation of the chunk before it."""
    fresh = {leaf: Leaf(leaf.token, "I-VP") for leaf in group.leaves}
    modifiers = tuple((label, fresh[node]) for label, node in group.modifiers if isinstance(node, Leaf))
    return VerbGroup(group.front, tuple(fresh.values()), fresh[group.head], modifiers)
