"""Whole sentences: statements, questions, commands, quotations, and fragments without a verb."""

from collections.abc import Callable
from itertools import accumulate

from seqmtl.data.toy import adjuncts, closed, frame_choice, lexicon
from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.grammar import (
    Filler,
    agreement_with,
    argument,
    clause,
    finite_phrase,
    is_personal_pronoun,
    time_clause,
    verb_phrase,
)
from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.morphology import plural
from seqmtl.data.toy.noun_phrases import (
    NounPhrase,
    adjective_phrase,
    city_name,
    common_phrase,
    noun_phrase,
    organisation_phrase,
    person_name,
    premodifiers,
    prepositional,
    pronoun,
    role_phrase,
)
from seqmtl.data.toy.tree import FrameDraft, LabelledNode, Leaf, Node, Phrase, Token, chunk, outside
from seqmtl.data.toy.verb_groups import Agreement, Tense, bare_group, copula, finite_group
from seqmtl.data.toy.verbs import FRAMES, Pattern
from seqmtl.data.toy.wordlist import WordList

_TENSES = (Tense.PAST, Tense.PAST, Tense.PRESENT, Tense.MODAL)
_GREETINGS = ("Dear", "Hello", "Hi", "Thanks", "Welcome", "Goodbye")
_SAY = FRAMES[Pattern.SAYING][0]


def sentence(dice: Dice) -> Phrase:
    """Build one sentence of any kind."""
    return dice.weighted(_BUILDERS, cumulative=_WEIGHTS)(dice)


def _ended(dice: Dice, *nodes: Node) -> Phrase:
    mark = closed.PERIOD if dice.chance(0.96) else closed.EXCLAMATION
    return Phrase((*nodes, outside(mark)))


# Statements


def _statement(dice: Dice) -> Phrase:
    return _ended(dice, clause(dice, depth=2 if dice.chance(0.5) else 1).node)


def _joined_clauses(dice: Dice) -> Phrase:
    first = clause(dice, depth=0).node
    second = clause(dice, depth=0, fronting=False).node
    if dice.chance(0.15):
        return _ended(dice, first, outside(closed.SEMICOLON), second)
    joint = dice.pick((closed.AND, closed.AND, closed.BUT, closed.OR))
    return _ended(dice, first, outside(closed.COMMA), outside(joint), second)


def _copular(dice: Dice) -> Phrase:
    kind = dice.pick((Kind.PERSON, Kind.PERSON, Kind.PLACE, Kind.THING, Kind.TEXT, Kind.TOPIC, Kind.ORG))
    subject = noun_phrase(dice, kind, subject=True)
    if kind is Kind.PERSON and dice.chance(0.3):
        subject = pronoun(dice, subject=True)
    spoken = is_personal_pronoun(subject) and dice.chance(0.5)
    tense = Tense.PRESENT if spoken else dice.pick(_TENSES)
    verb = copula(dice, tense=tense, agreement=agreement_with(subject), contracted=spoken)
    nodes: list[Node] = [subject.node, *verb, _predicative(dice, subject)]
    if dice.chance(0.2):
        nodes.append(time_clause(dice))
    return _ended(dice, *nodes)


def _predicative(dice: Dice, subject: NounPhrase) -> Node:
    if dice.chance(0.2):
        return adjuncts.locative(dice)[1]
    if dice.chance(0.6) or subject.plural:
        return adjective_phrase(dice)
    if subject.kind is Kind.PERSON:
        return role_phrase(dice).node if dice.chance(0.5) else _singular(dice, lexicon.PERSONS)
    return adjective_phrase(dice)


def _singular(dice: Dice, nouns: WordList[str]) -> Phrase:
    inside = [*premodifiers(dice), closed.noun(dice.word(nouns))]
    return Phrase(chunk("NP", [closed.indefinite(inside[0].text), *inside]))


def _existential(dice: Dice) -> Phrase:
    nouns = dice.pick((lexicon.PERSONS, lexicon.THINGS, lexicon.PLACES, lexicon.FOODS))
    is_plural = dice.chance(0.4)
    if is_plural:
        quantity = closed.adjective(dice.pick(("many", "several"))) if dice.chance(0.5) else closed.number("two")
        head = closed.noun(plural(dice.word(nouns)), plural=True)
        subject = Phrase(chunk("NP", [quantity, *premodifiers(dice), head]))
    else:
        subject = _singular(dice, nouns)
    tense = dice.pick(_TENSES)
    verb = copula(dice, tense=tense, agreement=Agreement(plural=is_plural), contracted=False)
    return _ended(dice, *chunk("NP", [closed.THERE]), *verb, subject, adjuncts.locative(dice)[1])


def _result(dice: Dice) -> Phrase:
    """``Leeds beat Norwich``: city names that stand for clubs."""
    frame = frame_choice.FOR_SUBJECT[False][Kind.CLUB].draw(dice)
    subject = noun_phrase(dice, Kind.CLUB)
    return _ended(dice, subject.node, finite_phrase(dice, frame, subject, tense=Tense.PAST, depth=0).node)


# Quotations


def _split_report(dice: Dice) -> Phrase:
    """``The river , the minister said , will rise``: the predicate continues the ARG1 that the subject began."""
    inner = clause(dice, depth=1, fronting=False)
    while inner.subject.heavy:
        inner = clause(dice, depth=1, fronting=False)
    speaker = _speaker(dice)
    group = finite_group(dice, _SAY.forms, tense=Tense.PAST, agreement=agreement_with(speaker))
    first, second = inner.subject.node, inner.predicate.node
    arguments = (("ARG1", first), ("ARG0", speaker.node), ("C-ARG1", second), *group.modifiers)
    report = Phrase((speaker.node, *group.leaves), (FrameDraft(group.head, _SAY.sense, arguments),))
    return _ended(dice, first, outside(closed.COMMA), report, outside(closed.COMMA), second)


def _quotation(dice: Dice) -> Phrase:
    """``" S , " said Anna`` or ``Anna said : " S "``."""
    quoted = clause(dice, depth=1).node
    speaker = _speaker(dice)
    said = chunk("VP", [Token("said", "VERB", "VBD")])[0]
    draft = FrameDraft(said, _SAY.sense, (("ARG1", quoted), ("ARG0", speaker.node)))
    opening, closing = outside(closed.OPEN_QUOTE), outside(closed.CLOSE_QUOTE)
    if dice.chance(0.3):
        mark = outside(dice.pick((closed.COLON, closed.COMMA)))
        return Phrase((speaker.node, said, mark, opening, quoted, outside(closed.PERIOD), closing), (draft,))
    order = (said, speaker.node) if dice.chance(0.5) else (speaker.node, said)
    return Phrase((opening, quoted, outside(closed.COMMA), closing, *order, outside(closed.PERIOD)), (draft,))


def _speaker(dice: Dice) -> NounPhrase:
    if dice.chance(0.55):
        return NounPhrase(Phrase(chunk("NP", person_name(dice))), Kind.PERSON)
    return role_phrase(dice) if dice.chance(0.4) else common_phrase(dice, Kind.PERSON)


# Questions and commands


def _polar_question(dice: Dice) -> Phrase:
    return _question(dice, (), None)


def _adverbial_question(dice: Dice) -> Phrase:
    word, label = dice.pick((("when", "ARGM-TMP"), ("where", "ARGM-LOC"), ("how", "ARGM-MNR")))
    asked = chunk("ADVP", [Token(word, "ADV", "WRB")])[0]
    return _question(dice, ((label, asked),), None)


def _object_question(dice: Dice) -> Phrase:
    kind = dice.pick((Kind.THING, Kind.THING, Kind.TEXT, Kind.PERSON))
    asked = chunk("NP", [closed.WHO if kind is Kind.PERSON else closed.WHAT])[0]
    return _question(dice, (), (kind, asked))


def _question(dice: Dice, extra: tuple[LabelledNode, ...], asked: tuple[Kind, Leaf] | None) -> Phrase:
    """An auxiliary before the subject; ``asked`` is the object that the question is about."""
    choice = frame_choice.FOR_OBJECT[asked[0]] if asked else frame_choice.FOR_SUBJECT[False][Kind.PERSON]
    frame = choice.draw(dice)
    subject = argument(dice, frame.subject, subject=True, depth=-1)
    tense = dice.pick(_TENSES)
    group = finite_group(dice, frame.forms, tense=tense, agreement=agreement_with(subject), question=True)
    assert group.front is not None
    gap: Filler | None = (("", asked[1]),) if asked else None
    rest = verb_phrase(
        dice, frame, (("", subject.node),), group=group, tense=tense, depth=0, extra=extra, gap=gap, adjoined=not extra
    )
    opening = tuple(node for _, node in extra) + ((asked[1],) if asked else ())
    return Phrase((*opening, group.front, subject.node, rest.node, outside(closed.QUESTION)))


def _subject_question(dice: Dice) -> Phrase:
    who = NounPhrase(chunk("NP", [closed.WHO])[0], Kind.PERSON)
    frame = frame_choice.FOR_SUBJECT[False][Kind.PERSON].draw(dice)
    predicate = finite_phrase(dice, frame, who, tense=dice.pick(_TENSES), depth=0)
    return Phrase((who.node, predicate.node, outside(closed.QUESTION)))


def _command(dice: Dice) -> Phrase:
    frame = frame_choice.FOR_SUBJECT[False][Kind.PERSON].draw(dice)
    group = bare_group(dice, frame.forms)
    rest = verb_phrase(dice, frame, (), group=group, tense=Tense.MODAL, depth=0)
    please = (outside(closed.PLEASE),) if dice.chance(0.35) else ()
    mark = closed.EXCLAMATION if dice.chance(0.4) else closed.PERIOD
    return Phrase((*please, rest.node, outside(mark)))


# Fragments


def _greeting(dice: Dice) -> Phrase:
    word, who = dice.pick(_GREETINGS), person_name(dice)
    if word == "Dear":
        return Phrase((*chunk("NP", [closed.adjective("Dear"), *who]), outside(closed.COMMA)))
    opening = [outside(Token(word, "INTJ", "UH"))]
    if dice.chance(0.5):
        opening.append(outside(closed.COMMA))
    mark = closed.EXCLAMATION if dice.chance(0.6) else closed.PERIOD
    return Phrase((*opening, *chunk("NP", who), outside(mark)))


def _headline(dice: Dice) -> Phrase:
    """``New bridge near Leeds``: no article, no verb, often no full stop; at times in capitals like names."""
    kind = dice.pick((lexicon.PLACES, lexicon.EVENTS, lexicon.TEXTS))
    words = [*premodifiers(dice), closed.noun(dice.word(kind))]
    if dice.chance(0.5):
        words = [word._replace(text=word.text[0].upper() + word.text[1:]) for word in words]
    noun = Phrase(chunk("NP", words))
    where = prepositional(dice.pick(("in", "near")), Phrase(chunk("NP", city_name(dice))))
    mark = (outside(closed.PERIOD),) if dice.chance(0.3) else ()
    return Phrase((noun, where, *mark))


def _caption(dice: Dice) -> Phrase:
    """``Anna Weber , mayor of Leeds``."""
    person = Phrase(chunk("NP", person_name(dice)))
    role = Phrase(chunk("NP", [closed.noun(dice.word(lexicon.ROLES))]))
    of = organisation_phrase(dice) if dice.chance(0.5) else Phrase(chunk("NP", city_name(dice)))
    joint = closed.COMMA if dice.chance(0.7) else closed.DASH
    return Phrase((person, outside(joint), role, prepositional("of", of)))


def _dateline(dice: Dice) -> Phrase:
    _, when = adjuncts.temporal(dice, Tense.PAST)
    return Phrase((*chunk("NP", city_name(dice)), outside(closed.COMMA), when))


_KINDS: tuple[tuple[Callable[[Dice], Phrase], int], ...] = (
    (_statement, 60),
    (_joined_clauses, 10),
    (_copular, 7),
    (_existential, 2),
    (_result, 3),
    (_split_report, 3),
    (_quotation, 4),
    (_polar_question, 2),
    (_adverbial_question, 2),
    (_object_question, 2),
    (_subject_question, 2),
    (_command, 3),
    (_greeting, 2),
    (_headline, 2),
    (_caption, 1),
    (_dateline, 1),
)
_BUILDERS = [builder for builder, _ in _KINDS]
_WEIGHTS = list(accumulate(weight for _, weight in _KINDS))
