"""Adjuncts of time, place and manner; each is one constituent with the label that it bears."""

from seqmtl.data.toy import closed, lexicon
from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.noun_phrases import location_name, noun_core, prepositional
from seqmtl.data.toy.tree import LabelledNode, Leaf, Phrase, Token, chunk
from seqmtl.data.toy.verb_groups import Tense

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = "January February March April May June July August September October November December".split()
_UNITS = ("week", "month", "year", "summer", "winter")
_PARTS_OF_DAY = ("morning", "evening", "afternoon")
_COUNTS = ("two", "three", "five", "ten", "20")
_FLAT_ADVERBS = ("fast", "hard", "well", "straight")  # most are adjectives too
_PLACE_PREPOSITIONS = ("in", "at", "near", "behind", "outside")


def temporal(dice: Dice, tense: Tense) -> LabelledNode:
    """A time expression that suits the tense."""
    build = dice.pick((_on_day, _on_day, _in_month, _in_year, _of_day, _relative, _relative, _around_event, _counted))
    return "ARGM-TMP", build(dice, tense)


def locative(dice: Dice) -> LabelledNode:
    """A place where something happens."""
    if dice.chance(0.5):
        near = dice.pick(("in", "in", "in", "near"))
        return "ARGM-LOC", prepositional(near, location_name(dice).node)
    place = Phrase(noun_core(dice, [closed.noun(dice.word(lexicon.PLACES))], compound=True))
    return "ARGM-LOC", prepositional(dice.pick(_PLACE_PREPOSITIONS), place)


def manner(dice: Dice) -> LabelledNode:
    """A manner adverb, or ``with`` and a quality or an instrument; a part after ``with`` would belong to a noun."""
    if dice.chance(0.6):
        return "ARGM-MNR", manner_adverb(dice)
    if dice.chance(0.5):
        inside = [closed.adjective(dice.word(lexicon.ADJECTIVES))] if dice.chance(0.25) else []
        quality = Phrase(chunk("NP", [*inside, closed.noun(dice.word(lexicon.QUALITIES))]))
        return "ARGM-MNR", prepositional("with", quality)
    instrument = Phrase(noun_core(dice, [closed.noun(dice.word(lexicon.INSTRUMENTS))], compound=False))
    return "ARGM-MNR", prepositional("with", instrument)


def manner_adverb(dice: Dice) -> Leaf:
    """A manner adverb in its own chunk."""
    adverb = dice.pick(_FLAT_ADVERBS) if dice.chance(0.12) else dice.word(lexicon.MANNERS)
    return chunk("ADVP", [closed.adverb(adverb)])[0]


def takes_place_adjunct(kind: Kind) -> bool:
    """Whether a locative after a noun of this kind belongs to the verb; after places, events and clubs it would not."""
    return kind not in (Kind.PLACE, Kind.EVENT, Kind.CLUB, Kind.ORG)


def _on_day(dice: Dice, tense: Tense) -> Phrase:
    day = chunk("NP", [Token(dice.pick(_DAYS), "PROPN", "NNP")])[0]
    if dice.chance(0.15):
        part = chunk("NP", [Token(dice.pick(_DAYS), "PROPN", "NNP"), closed.noun(dice.pick(_PARTS_OF_DAY))])
        return prepositional("on", Phrase(part))
    return prepositional("on", day) if tense is not Tense.PRESENT else Phrase((_every(dice),))


def _in_month(dice: Dice, tense: Tense) -> Phrase:
    month = [Token(dice.pick(_MONTHS), "PROPN", "NNP")]
    if dice.chance(0.3):
        month.append(_year(dice, tense))
        return prepositional("in", Phrase(chunk("NP", month)))
    if dice.chance(0.3):
        date = chunk("NP", [*month, closed.number(str(dice.number(1, 28)))])
        return prepositional("on", Phrase(date))
    return prepositional("in", Phrase(chunk("NP", month)))


def _in_year(dice: Dice, tense: Tense) -> Phrase:
    if tense is Tense.PRESENT:
        return Phrase((_every(dice),))
    return prepositional("in", Phrase(chunk("NP", [_year(dice, tense)])))


def _of_day(dice: Dice, _: Tense) -> Phrase:
    part = closed.noun(dice.pick(_PARTS_OF_DAY))
    if dice.chance(0.5):
        return prepositional("in", Phrase(chunk("NP", [closed.THE, part])))
    return Phrase(chunk("NP", [Token("this", "DET", "DT"), part]))


def _relative(dice: Dice, tense: Tense) -> Phrase:
    """``yesterday``, ``last week``, ``tomorrow``, ``every year`` ..."""
    if dice.chance(0.4):
        words = {Tense.PAST: "yesterday", Tense.PRESENT: "today", Tense.MODAL: "tomorrow"}
        return Phrase(chunk("NP", [closed.noun(words[tense])]))
    if tense is Tense.PRESENT:
        return Phrase((_every(dice),))
    unit = closed.noun(dice.pick(_UNITS))
    return Phrase(chunk("NP", [closed.adjective("last" if tense is Tense.PAST else "next"), unit]))


def _around_event(dice: Dice, _: Tense) -> Phrase:
    """``before the meeting``: the same words open clauses, where they are subordinators."""
    event = closed.noun(dice.word(lexicon.EVENTS))
    return prepositional(dice.pick(("before", "after", "during")), Phrase(chunk("NP", [closed.THE, event])))


def _counted(dice: Dice, tense: Tense) -> Phrase:
    """``two years ago``, or ``for two years``."""
    span = chunk("NP", [closed.number(dice.pick(_COUNTS)), closed.noun(dice.pick(_UNITS[:3]) + "s", plural=True)])
    if tense is Tense.PAST and dice.chance(0.6):
        return Phrase((*span, *chunk("ADVP", [closed.adverb("ago")])))
    return prepositional("for" if tense is not Tense.MODAL else "within", Phrase(span))


def _every(dice: Dice) -> Phrase:
    return Phrase(chunk("NP", [Token("every", "DET", "DT"), closed.noun(dice.pick(_UNITS))]))


def _year(dice: Dice, tense: Tense) -> Token:
    return closed.number(str(dice.number(1920, 2019) if tense is Tense.PAST else dice.number(2026, 2049)))
