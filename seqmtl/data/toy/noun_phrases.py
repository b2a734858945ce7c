"""Noun phrases without clauses inside: pronouns, names and common nouns with their modifiers."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmtl.data.toy import closed, lexicon
from seqmtl.data.toy.closed import preposition
from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.morphology import plural
from seqmtl.data.toy.tree import Leaf, Node, Phrase, Token, chunk, entity, outside
from seqmtl.data.toy.wordlist import WordList

# The first three would have to agree with a first name.
_TITLES = ("Mr.", "Ms.", "Mrs.", "Dr.", "Prof.", "President", "Senator", "Judge", "Captain", "Inspector")
_SUFFIXES = ("Inc.", "Corp.", "Ltd.", "Group", "Holdings", "Airlines", "Bank", "Motors", "Press")
_CLUB_SUFFIXES = ("United", "City", "Rovers", "Athletic")
_DEPARTMENTS = ("Finance", "Health", "Education", "Justice", "Defence", "Transport", "Trade", "Agriculture")
_COUNTS = ("two", "three", "four", "five", "six", "ten", "12", "20", "30", "150")
_DEGREES = ("very", "quite", "rather", "too", "extremely")
_POSSESSIVES = ("her", "his", "my", "our", "their", "your", "its")

# subject form, object form, person, plural
_PRONOUNS = (
    ("she", "her", 3, False),
    ("he", "him", 3, False),
    ("they", "them", 3, True),
    ("we", "us", 1, True),
    ("I", "me", 1, False),
    ("you", "you", 2, True),
)
_NOUNS = {
    Kind.PERSON: lexicon.PERSONS,
    Kind.ORG: lexicon.GROUPS,
    Kind.PLACE: lexicon.PLACES,
    Kind.THING: lexicon.THINGS,
    Kind.FOOD: lexicon.FOODS,
    Kind.TEXT: lexicon.TEXTS,
    Kind.TOPIC: lexicon.TOPICS,
    Kind.EVENT: lexicon.EVENTS,
}


@dataclass(frozen=True, slots=True)
class NounPhrase:
    """A noun phrase with what its neighbours must know about it.

    ``kind`` is that of the head; ``heavy`` says that it ends in a clause, so that nothing may follow that could be
    taken for a part of the clause; ``relatable`` says that a relative clause may be added.
    """

    node: Node
    kind: Kind
    plural: bool = False
    person: int = 3
    heavy: bool = False
    relatable: bool = False


def noun_phrase(dice: Dice, kind: Kind, *, subject: bool = False) -> NounPhrase:
    """Build a noun phrase that denotes ``kind``; ``subject`` decides the case of a pronoun."""
    if kind is Kind.AGENT:
        kind = Kind.PERSON if dice.chance(0.7) else Kind.ORG
    match kind:
        case Kind.PERSON:
            return _person(dice, subject=subject)
        case Kind.ORG:
            return _organisation(dice) if dice.chance(0.7) else common_phrase(dice, kind)
        case Kind.CLUB:
            return NounPhrase(Phrase(chunk("NP", _club(dice))), kind)
        case Kind.PLACE:
            return _place(dice)
        case Kind.EVENT if dice.chance(0.1):
            return NounPhrase(Phrase(chunk("NP", _named_event(dice))), kind)
        case Kind.TOPIC if dice.chance(0.08):
            return NounPhrase(Phrase(chunk("NP", _language(dice))), kind)
        case Kind.THING | Kind.TEXT if subject is False and dice.chance(0.06):
            return _pronoun_thing(dice, kind)
        case _:
            return common_phrase(dice, kind)


def pronoun(dice: Dice, *, subject: bool) -> NounPhrase:
    """A personal pronoun in the case asked for."""
    nominative, accusative, person, is_plural = dice.pick(_PRONOUNS)
    token = Token(nominative if subject else accusative, "PRON", "PRP")
    return NounPhrase(chunk("NP", [token])[0], Kind.PERSON, plural=is_plural, person=person)


def person_name(dice: Dice) -> list[Token]:
    """The words of a person's name; a title before it is no part of the entity."""
    first, last = dice.word(lexicon.FIRST_NAMES), dice.word(lexicon.SURNAMES)
    roll = dice.number(1, 100)
    if roll <= 45:
        return entity("PER", closed.name(f"{first} {last}"))
    if roll <= 65:
        return entity("PER", closed.name(first))
    if roll <= 72:
        return entity("PER", closed.name(last))
    if roll <= 92:
        return closed.name(dice.pick(_TITLES)) + entity("PER", closed.name(last))
    return closed.name(dice.pick(_TITLES[3:])) + entity("PER", closed.name(f"{first} {last}"))


def location_name(dice: Dice) -> NounPhrase:
    """A city, a country, a city in its country, or a river."""
    roll = dice.number(1, 100)
    if roll <= 55:
        return NounPhrase(Phrase(chunk("NP", city_name(dice))), Kind.PLACE)
    if roll <= 80:
        return NounPhrase(Phrase(chunk("NP", country_name(dice))), Kind.PLACE)
    if roll <= 90:
        parts = (*chunk("NP", city_name(dice)), outside(closed.COMMA), *chunk("NP", country_name(dice)))
        return NounPhrase(Phrase(parts), Kind.PLACE)
    river = entity("LOC", closed.name(dice.word(lexicon.RIVERS)))
    return NounPhrase(Phrase(chunk("NP", [closed.THE, *river])), Kind.PLACE)


def city_name(dice: Dice) -> list[Token]:
    """The words of a city's name."""
    return entity("LOC", closed.name(dice.word(lexicon.CITIES)))


def country_name(dice: Dice) -> list[Token]:
    """The words of a country's name."""
    return entity("LOC", closed.name(dice.word(lexicon.COUNTRIES)))


def common_phrase(dice: Dice, kind: Kind) -> NounPhrase:
    """A phrase around a common noun: determiner or possessor, adjectives, noun, and a phrase that the noun takes."""
    if kind is Kind.TOPIC and dice.chance(0.4):
        return _mass_phrase(dice)
    head = dice.word(_NOUNS[kind])
    is_plural = dice.chance(0.25)
    heads = [closed.noun(plural(head) if is_plural else head, plural=is_plural)]
    if is_plural and dice.chance(0.15):
        heads += [closed.AND, closed.noun(plural(dice.word(_NOUNS[kind])), plural=True)]
    core = noun_core(dice, heads, compound=kind in (Kind.PLACE, Kind.THING, Kind.PERSON))
    modifier = _modifier(dice, kind)
    node = Phrase((*core, modifier)) if modifier else Phrase(core)
    return NounPhrase(node, kind, plural=is_plural, relatable=True)


def noun_core(dice: Dice, heads: Sequence[Token], *, compound: bool) -> tuple[Node, ...]:
    """Everything from the determiner to the noun, or to two nouns that share it; ``heads`` ends in the last noun."""
    inside = premodifiers(dice)
    if compound and dice.chance(0.2):
        inside += _compound_part(dice)
    inside += heads
    if dice.chance(0.08):
        return (possessor(dice), *chunk("NP", [closed.POSSESSIVE, *inside])[1:])
    is_plural = heads[-1].xpos == "NNS"
    return chunk("NP", [*_determiner(dice, inside[0].text, is_plural=is_plural), *inside])


def _compound_part(dice: Dice) -> list[Token]:
    """A noun or a name before the noun: ``school teacher``, ``Novatek engineer``, ``Oslo museum``."""
    roll = dice.number(1, 10)
    if roll <= 7:
        return [closed.noun(dice.word(lexicon.PLACES if dice.chance(0.5) else lexicon.THINGS))]
    return city_name(dice) if roll <= 9 else entity("ORG", closed.name(dice.word(lexicon.COMPANIES)))


def premodifiers(dice: Dice) -> list[Token]:
    """Nothing, or one or two adjectives, or a nationality."""
    roll = dice.number(1, 100)
    if roll <= 62:
        return []
    if roll <= 82:
        return [closed.adjective(dice.word(lexicon.ADJECTIVES))]
    if roll <= 87:
        return [closed.adverb(dice.pick(_DEGREES[:2])), closed.adjective(dice.word(lexicon.ADJECTIVES))]
    first, second = dice.word(lexicon.ADJECTIVES), dice.word(lexicon.ADJECTIVES)
    nationality = entity("MISC", [closed.adjective(dice.word(lexicon.NATIONALITIES))])
    if roll <= 95:
        return nationality if roll <= 92 else [closed.adjective(first), *nationality]
    if first == second:
        return [closed.adjective(first)]
    joint = closed.AND if roll <= 97 else closed.COMMA
    return [closed.adjective(first), joint, closed.adjective(second)]


def possessor(dice: Dice) -> Phrase:
    """``Anna 's``: the genitive opens the chunk of what is possessed, as in CoNLL-2000."""
    if dice.chance(0.7):
        owner = chunk("NP", person_name(dice))
    else:
        owner = chunk("NP", [closed.THE, closed.noun(dice.word(lexicon.PERSONS))])
    return Phrase((*owner, Leaf(closed.POSSESSIVE, "B-NP")))


def possessive_pronoun(dice: Dice) -> Token:
    """``her``, ``his`` and the like."""
    return Token(dice.pick(_POSSESSIVES), "PRON", "PRP$")


def prepositional(text: str, noun: Node) -> Phrase:
    """A preposition, alone in its chunk, and its noun phrase."""
    return Phrase((*chunk("PP", [preposition(text)]), noun))


def adjective_phrase(dice: Dice) -> Phrase:
    """A predicative adjective, perhaps with a degree adverb."""
    degree = [closed.adverb(dice.pick(_DEGREES))] if dice.chance(0.3) else []
    return Phrase(chunk("ADJP", [*degree, closed.adjective(dice.word(lexicon.ADJECTIVES))]))


def role_phrase(dice: Dice) -> NounPhrase:
    """``the mayor of Leeds``."""
    head = closed.noun(dice.word(lexicon.ROLES))
    base = chunk("NP", [closed.THE, *([closed.adjective("former")] if dice.chance(0.15) else []), head])
    of = Phrase(chunk("NP", city_name(dice) if dice.chance(0.5) else country_name(dice)))
    if dice.chance(0.25):
        of = organisation_phrase(dice)
    return NounPhrase(Phrase((*base, prepositional("of", of))), Kind.PERSON, relatable=True)


def organisation_phrase(dice: Dice) -> Phrase:
    """A named organisation; names with ``of`` keep the chunks of their parts, while the entity spans them."""
    return Phrase(dice.pick(_ORGANISATIONS)(dice))


def coordinated(parts: Sequence[NounPhrase], *, conjunction: Token) -> NounPhrase:
    """Noun phrases joined by commas and a conjunction; each keeps its own chunk."""
    nodes: list[Node] = [parts[0].node]
    for part in parts[1:-1]:
        nodes += [outside(closed.COMMA), part.node]
    last = parts[-1]
    nodes += [outside(conjunction), last.node]
    many = conjunction is closed.AND or last.plural
    return NounPhrase(Phrase(tuple(nodes)), last.kind, plural=many)


def _person(dice: Dice, *, subject: bool) -> NounPhrase:
    roll = dice.number(1, 100)
    if roll <= 18:
        return pronoun(dice, subject=subject)
    if roll <= 52:
        named = Phrase(chunk("NP", person_name(dice)))
        if not subject or not dice.chance(0.1):
            return NounPhrase(named, Kind.PERSON)
        comma = outside(closed.COMMA)
        closing = outside(closed.COMMA)
        return NounPhrase(Phrase((named, comma, role_phrase(dice).node, closing)), Kind.PERSON, heavy=True)
    if roll <= 53:
        kind_of_people = chunk("NP", [closed.THE, closed.adjective(dice.word(lexicon.ADJECTIVES))])
        return NounPhrase(Phrase(kind_of_people), Kind.PERSON, plural=True)
    return role_phrase(dice) if roll <= 61 else common_phrase(dice, Kind.PERSON)


def _organisation(dice: Dice) -> NounPhrase:
    return NounPhrase(organisation_phrase(dice), Kind.ORG)


def _place(dice: Dice) -> NounPhrase:
    return location_name(dice) if dice.chance(0.35) else common_phrase(dice, Kind.PLACE)


def _mass_phrase(dice: Dice) -> NounPhrase:
    """A topic that cannot be counted, mostly without a determiner."""
    determiner = [possessive_pronoun(dice) if dice.chance(0.5) else closed.THE] if dice.chance(0.3) else []
    inside = [*determiner, *premodifiers(dice), closed.noun(dice.word(lexicon.MASS_TOPICS))]
    return NounPhrase(Phrase(chunk("NP", inside)), Kind.TOPIC)


def _pronoun_thing(dice: Dice, kind: Kind) -> NounPhrase:
    token = dice.pick((Token("it", "PRON", "PRP"), Token("this", "PRON", "DT"), closed.PRONOUN_THAT))
    return NounPhrase(chunk("NP", [token])[0], kind)


def _company(dice: Dice) -> tuple[Leaf, ...]:
    if dice.chance(0.35):
        return chunk("NP", entity("ORG", closed.name(dice.word(lexicon.COMPANIES))))
    base = dice.word(lexicon.COMPANIES) if dice.chance(0.6) else dice.word(lexicon.SURNAMES)
    return chunk("NP", entity("ORG", closed.name(f"{base} {dice.pick(_SUFFIXES)}")))


def _partners(dice: Dice) -> tuple[Leaf, ...]:
    partner = closed.name(dice.word(lexicon.SURNAMES) if dice.chance(0.5) else "Sons")
    return chunk("NP", entity("ORG", [*closed.name(dice.word(lexicon.SURNAMES)), Token("&", "CCONJ", "CC"), *partner]))


def _university(dice: Dice) -> tuple[Leaf, ...]:
    return _with_of(dice.pick(("University", "Bank", "Museum")), dice.word(lexicon.CITIES))


def _college(dice: Dice) -> tuple[Leaf, ...]:
    city = dice.word(lexicon.CITIES)
    return chunk("NP", entity("ORG", closed.name(f"{city} {dice.pick(('University', 'College', 'Hospital'))}")))


def _authority(dice: Dice) -> tuple[Leaf, ...]:
    return _with_of("Ministry", dice.pick(_DEPARTMENTS))


def _with_of(head: str, complement: str) -> tuple[Leaf, ...]:
    first, of, *rest = entity("ORG", [*closed.name(head), preposition("of"), *closed.name(complement)])
    return (*chunk("NP", [closed.THE, first]), *chunk("PP", [of]), *chunk("NP", rest))


def _club(dice: Dice) -> list[Token]:
    city = dice.word(lexicon.CITIES)
    return entity("ORG", closed.name(f"{city} {dice.pick(_CLUB_SUFFIXES)}" if dice.chance(0.3) else city))


def _named_event(dice: Dice) -> list[Token]:
    if dice.chance(0.4):
        return [closed.THE, *entity("MISC", closed.name(dice.pick(("World Cup", "Olympic Games", "Nobel Prize"))))]
    kind = dice.pick(("Prize", "Festival", "Cup", "Marathon"))
    base = dice.word(lexicon.CITIES) if dice.chance(0.5) else dice.word(lexicon.SURNAMES)
    return [closed.THE, *entity("MISC", closed.name(f"{base} {kind}"))]


def _language(dice: Dice) -> list[Token]:
    return entity("MISC", closed.name(dice.word(lexicon.LANGUAGES)))


def _determiner(dice: Dice, following: str, *, is_plural: bool) -> list[Token]:
    roll = dice.number(1, 100)
    if roll <= 45:
        return [closed.THE]
    if roll <= 60:
        return [possessive_pronoun(dice)]
    if is_plural:
        return _plural_determiner(dice, roll)
    if roll <= 90:
        return [closed.indefinite(following)]
    return [Token(dice.pick(("this", "that", "every", "another", "each")), "DET", "DT")]


def _plural_determiner(dice: Dice, roll: int) -> list[Token]:
    if roll <= 70:
        return []
    if roll <= 80:
        return [closed.number(dice.pick(_COUNTS))]
    if roll <= 90:
        return [closed.adjective(dice.pick(("many", "several", "few", "other")))]
    return [Token(dice.pick(("these", "those", "some", "all")), "DET", "DT")]


def _modifier(dice: Dice, kind: Kind) -> Phrase | None:
    """The phrase that nouns of this kind take; what follows a preposition tells such phrases from adjuncts of verbs."""
    if not dice.chance(0.3):
        return None
    match kind:
        case Kind.PLACE if dice.chance(0.6):
            return prepositional(dice.pick(("in", "near")), location_name(dice).node)
        case Kind.PLACE:
            return prepositional("with", _simple(dice, lexicon.BUILDING_PARTS))
        case Kind.THING if dice.chance(0.5):
            return prepositional("with", _simple(dice, lexicon.THING_PARTS))
        case Kind.THING | Kind.FOOD | Kind.PERSON:
            named = city_name(dice) if dice.chance(0.5) else country_name(dice)
            return prepositional("from", Phrase(chunk("NP", named)))
        case Kind.TEXT:
            return prepositional(dice.pick(("about", "on")), _simple(dice, lexicon.TOPICS))
        case Kind.TOPIC:
            return prepositional("of", Phrase(chunk("NP", country_name(dice))))
        case Kind.EVENT:
            return prepositional(dice.pick(("about", "at")), _simple(dice, dice.pick((lexicon.TOPICS, lexicon.PLACES))))
        case _:
            return prepositional("of", Phrase(chunk("NP", city_name(dice))))


def _simple(dice: Dice, nouns: WordList[str]) -> Phrase:
    """A short noun phrase without modifiers after the noun, except now and then one more phrase with ``of``."""
    base = chunk("NP", [closed.THE, *premodifiers(dice), closed.noun(dice.word(nouns))])
    if nouns is lexicon.THING_PARTS or not dice.chance(0.12):
        return Phrase(base)
    owner = Phrase(chunk("NP", [closed.THE, closed.noun(dice.word(lexicon.PLACES))]))
    return Phrase((*base, prepositional("of" if nouns is lexicon.BUILDING_PARTS else "in", owner)))


_ORGANISATIONS = (_company, _company, _company, _company, _partners, _university, _college, _authority)
