"""Verbs with their frames, and the nouns that have frames too.

A table has one frame per line: the verb (with a sense number unless it is 01), what its subject denotes, then what its
pattern asks for. The roles that subject and complements bear are the pattern's, written above its table and applied in
`verb_phrases.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.morphology import VerbForms, verb_forms
from seqmtl.data.toy.wordlist import WordList


class Pattern(StrEnum):
    """The shapes of complements."""

    ACTING = "acting"  # ARG0
    HAPPENING = "happening"  # ARG1
    TRANSITIVE = "transitive"  # ARG0, ARG1
    CHANGING = "changing"  # ARG0, ARG1; or ARG1 alone as the subject
    PARTICLE = "particle"  # ARG0, particle, ARG1
    PLACING = "placing"  # ARG0, ARG1, ARG2 after a preposition
    SOURCE = "source"  # ARG0, ARG1, ARG2 after "from"
    GIVING = "giving"  # ARG0, ARG1, ARG2: double object or "to"
    DATIVE = "dative"  # ARG0, ARG1, ARG2 after "to" only
    CONCERNING = "concerning"  # ARG0, ARG1 inside a prepositional phrase
    SAYING = "saying"  # ARG0, ARG1 = (that) clause
    WONDERING = "wondering"  # ARG0, ARG1 = if/whether clause
    TELLING = "telling"  # ARG0, ARG2, ARG1 = that clause
    WANTING = "wanting"  # ARG0, ARG1 = to + verb, whose subject is the same
    ASKING = "asking"  # ARG0, ARG2 = who is to act, ARG1 = to + verb
    EXPECTING = "expecting"  # ARG0, ARG1 = noun phrase with to + verb
    RAISING = "raising"  # passive: ARG1 is the subject and C-ARG1 the to + verb that completes it


@dataclass(frozen=True, eq=False)
class VerbFrame:
    """One use of a verb: its sense, its pattern and what may fill the roles.

    ``object`` is what the direct object denotes and ``other`` what the third role denotes; a pattern without such a
    role leaves the default. ``links`` are the prepositions or the particle.
    """

    forms: VerbForms
    sense: str
    pattern: Pattern
    subject: Kind
    object: Kind = Kind.THING
    other: Kind = Kind.PLACE
    links: tuple[str, ...] = ()


@dataclass(frozen=True)
class VerbEntry:
    """A verb with all its frames."""

    lemma: str
    forms: VerbForms
    frames: tuple[VerbFrame, ...]


@dataclass(frozen=True)
class NounFrame:
    """A noun that is a predicate when it has an argument: ``the sale of the house``, ``her decision to leave``.

    ``link`` is the preposition before ARG1, or "to-verb" where ARG1 is an infinitive.
    """

    noun: str
    sense: str
    link: str
    object: Kind = Kind.THING

    @property
    def countable(self) -> bool:
        """Whether the noun has a plural and an indefinite article."""
        return self.noun not in _UNCOUNTABLE


# verb, subject
_ACTING = """
    sleep person / sing person / work person / dance person / smile person / laugh person / swim person
    wait person / run.02 person / walk.01 person / travel person / cough person / cheer person / complain person
    pray person / whistle person / yawn person / protest person / shiver person / tremble person / sneeze person
    wander person / retire person / cooperate person
"""
_HAPPENING = """
    arrive person / fall person / rise topic / disappear thing / happen event / begin event / end event
    emerge topic / exist topic / vanish thing / collapse place / matter topic / faint person / appear person
    die person / expire text / decay place / rust thing / recover person
"""
# verb, subject, object
_TRANSITIVE = """
    visit person place / buy agent thing / see person thing / have.03 agent thing / find person thing
    write person text / read person text / meet.02 person person / like person food / build agent place
    eat person food / know person person / study person topic / review person text / attack agent place
    run agent place / help person person / report person event / love person person / support agent topic
    paint person place / repair person thing / discuss agent topic / leave person place / clean person place
    cook person food / lose person thing / win person event / hear person text / order person food
    plan agent event / watch person event / close agent place / want person thing / draw person thing
    hire org person / acquire org org / beat.03 club club / defeat club club / host club event
    sign club person / open agent place / admire person person / criticize agent agent / describe person place
    destroy event place / damage event thing / enter person place / explore person place / launch org thing
    invite person person / marry person person / publish org text / reject agent topic / examine person thing
    translate person text / wash person thing / trust person person / analyze agent topic / arrest org person
    bake person food / ban agent topic / blame agent agent / borrow person thing / celebrate person event
    collect person thing / cancel agent event / demolish org place / delay event event / design agent place
    discover person place / dismiss org person / enjoy person event / fear person topic / film person event
    finance org event / follow person person / found.02 agent org / greet person person / ignore agent topic
    imitate person person / improve agent topic / inspect agent place / interview person person
    investigate agent event / kiss person person / merge org org / miss person person / notice person person
    organize agent event / own agent place / photograph person place / polish person thing
    postpone agent event / praise agent agent / prepare person food / protect agent place / punish agent person
    record person text / recruit org person / renovate agent place / rescue agent person / respect person person
    restore agent thing / serve person food / smell person food / sue agent org / surprise event person
    taste person food / tolerate person topic / train person person / use person thing / worry topic person
    shock event person / delight text person / amuse text person / annoy topic person / affect topic person
    inspire text person / sponsor org event / audit agent org / peel person food / sketch person place
    chase person person / hug person person / abandon agent place / assess agent topic / boycott agent event
    burgle person place / cherish person thing / conquer agent place / devour person food / endorse agent topic
    fry person food / grill person food / inherit person place / mend person thing / occupy agent place
    overlook agent topic / paddle person thing / quote person text / recite person text / regulate agent topic
    supervise person person / trim person thing / unveil org thing / vandalize person place
    welcome agent person
"""
_CHANGING = """
    open person thing / break person thing / close person thing / move person thing / freeze person food
    start agent event / stop agent event / change agent topic / increase agent topic / melt person food
    burn person text / tear person text / finish agent event / boil person food / drop person thing
    reduce agent topic / continue agent event / crack person thing / expand agent place / rotate person thing
    resume agent event / spoil person food
"""
# verb, subject, object, particle
_PARTICLE = """
    carry agent event out / set agent org up / turn agent topic down / give person thing up
    take person thing away / call agent event off / pick person thing up / put agent event off
    bring agent topic up / throw person thing away / point person topic out / clean person place up
    knock agent place down / pack person thing up / sort agent topic out / hand person thing over
    phase agent topic out / lock person person up / switch person thing off
"""
# verb, subject, object, what the third role denotes, prepositions
_PLACING = """
    put person thing place in / hide person thing place in,behind / leave.02 person thing place in,at
    keep person thing place in / hang person thing place in / drop person thing place in
    store agent thing place in / place person thing place in / bury person thing place in,near
    park person thing place near,behind / install agent thing place in / load person thing place into
    stack person thing place in
"""
_SOURCE = """
    buy agent thing agent from / steal person thing agent from / get person text agent from
    receive agent text agent from / take person thing person from / hear person text person from
    borrow agent thing agent from / collect person thing agent from / accept agent thing agent from
    demand agent text agent from / hide.02 person text person from / snatch person thing person from
    rent agent place agent from / purchase agent thing agent from
"""
_GIVING = """
    give agent thing person to / send agent text agent to / show person thing person to
    offer agent thing person to / sell agent place agent to / lend person thing person to
    teach person topic person to / promise agent thing person to / pass person food person to
    award org thing person to / grant org thing agent to / hand person thing person to
"""
_DATIVE = """
    explain person topic person to / return person thing agent to / deliver agent thing agent to
    donate agent thing org to / describe person event person to / present agent text agent to
    dedicate person text person to / recommend person text person to / submit agent text org to
    transfer agent thing org to / mention person topic person to / entrust agent thing person to
"""
# verb, subject, object, prepositions
_CONCERNING = """
    look person thing at / wait.02 person person for / talk person topic about / go.02 person place to
    listen person text to / depend topic topic on / laugh person person at / pay.02 agent thing for
    search agent thing for / rely agent agent on / think person person about / worry.02 person topic about
    dream person place of / apologize agent event for / escape person place from / return.02 person place to
    argue agent topic about / vote person topic for / care person topic about / belong thing person to
    participate agent event in / compete agent event in / apply person thing for / insist agent topic on
    stare person person at / complain person topic about / cope agent topic with / comment person event on
    suffer agent topic from / refer text topic to / gossip person person about / speculate agent topic about
"""
# verb, subject
_SAYING = """
    say agent / think person / know person / report agent / announce agent / believe person / claim agent
    hear person / forget person / discover agent / hope person / explain agent / deny agent / admit agent
    feel person / notice person / suggest agent / predict agent / insist agent / declare agent / doubt person
    suspect agent / argue agent / complain person / conclude agent / emphasize agent / allege agent
    confirm agent
"""
_WONDERING = """
    wonder person / ask agent / know person / doubt person / forget person / inquire agent
"""
_TELLING = """
    tell agent person / inform agent person / promise person person / convince person person / remind agent person
    assure agent person / warn agent person / notify agent person
"""
_WANTING = """
    want person / plan agent / try agent / hope person / decide agent / promise agent / refuse agent
    agree agent / begin person / forget person / attempt agent / like person / offer agent / prepare agent
    love person / hesitate person / manage person / threaten agent / fail agent / intend agent / struggle person
    pretend person / vow agent / aim agent
"""
# verb, subject, object
_ASKING = """
    ask agent person / tell agent person / order agent person / persuade person person / help person person
    invite agent person / teach person person / force agent agent / encourage person person / advise agent agent
    urge agent agent / instruct agent person / train person person / tempt person person / beg person person
"""
_EXPECTING = """
    expect agent agent / want agent person / require agent agent / allow agent person / like person person
"""
_RAISING = """
    believe agent / expect agent / report agent / think agent / suppose agent / allege agent / say agent
    rumour agent
"""
# noun, sense, link, what ARG1 denotes
_NOUNS = """
    plan plan.01 to-verb - / decision decide.01 to-verb - / visit visit.01 to place / attack attack.01 on place
    sale sell.01 of thing / promise promise.01 to-verb - / report report.01 on topic / review review.01 of text
    attempt attempt.01 to-verb - / study study.01 of topic / criticism criticize.01 of agent
    offer offer.01 to-verb - / discovery discover.01 of thing / construction construct.01 of place
    discussion discuss.01 of topic / request request.01 for text / search search.01 for person
    destruction destroy.01 of place / purchase purchase.01 of thing / refusal refuse.01 to-verb -
    description describe.01 of place / analysis analyze.01 of topic / investigation investigate.01 of event
    support support.01 for topic / demand demand.01 for topic / arrest arrest.01 of person
    protest protest.01 against topic / complaint complain.01 about topic / repair repair.01 of thing
    translation translate.01 of text / proposal propose.01 to-verb - / rejection reject.01 of topic
    delivery deliver.01 of thing / removal remove.01 of thing / approval approve.01 of topic
    inspection inspect.01 of place / invasion invade.01 of place / theft steal.01 of thing
    restoration restore.01 of place / evacuation evacuate.01 of place / preparation prepare.02 for event
    occupation occupy.01 of place
"""


_UNCOUNTABLE = frozenset(
    "construction criticism destruction evacuation occupation preparation removal restoration support".split()
)


def _cells(table: str) -> list[list[str]]:
    """The lines of a table as lists of words."""
    return [cell.split() for line in table.split("\n") for cell in line.split("/") if cell.strip()]


def _named(word: str) -> tuple[VerbForms, str]:
    """Forms and sense of a verb written ``lemma`` or ``lemma.NN``."""
    lemma, _, number = word.partition(".")
    return verb_forms(lemma), f"{lemma}.{number or '01'}"


def _intransitive(pattern: Pattern, table: str) -> list[VerbFrame]:
    return [VerbFrame(*_named(verb), pattern, Kind(subject)) for verb, subject in _cells(table)]


def _with_object(pattern: Pattern, table: str) -> list[VerbFrame]:
    return [VerbFrame(*_named(verb), pattern, Kind(subject), Kind(obj)) for verb, subject, obj in _cells(table)]


def _inchoatives() -> list[VerbFrame]:
    """``The door opened``: the verbs of change with ARG1 as their subject."""
    changing = _with_object(Pattern.CHANGING, _CHANGING)
    return [VerbFrame(frame.forms, frame.sense, Pattern.HAPPENING, frame.object) for frame in changing]


def _with_link(pattern: Pattern, table: str) -> list[VerbFrame]:
    return [
        VerbFrame(*_named(verb), pattern, Kind(subject), Kind(obj), links=tuple(links.split(",")))
        for verb, subject, obj, links in _cells(table)
    ]


def _with_third(pattern: Pattern, table: str) -> list[VerbFrame]:
    return [
        VerbFrame(*_named(verb), pattern, Kind(subject), Kind(obj), Kind(other), tuple(links.split(",")))
        for verb, subject, obj, other, links in _cells(table)
    ]


FRAMES: Mapping[Pattern, tuple[VerbFrame, ...]] = MappingProxyType(
    {
        Pattern.ACTING: tuple(_intransitive(Pattern.ACTING, _ACTING)),
        Pattern.HAPPENING: (*_intransitive(Pattern.HAPPENING, _HAPPENING), *_inchoatives()),
        Pattern.TRANSITIVE: tuple(_with_object(Pattern.TRANSITIVE, _TRANSITIVE)),
        Pattern.CHANGING: tuple(_with_object(Pattern.CHANGING, _CHANGING)),
        Pattern.PARTICLE: tuple(_with_link(Pattern.PARTICLE, _PARTICLE)),
        Pattern.PLACING: tuple(_with_third(Pattern.PLACING, _PLACING)),
        Pattern.SOURCE: tuple(_with_third(Pattern.SOURCE, _SOURCE)),
        Pattern.GIVING: tuple(_with_third(Pattern.GIVING, _GIVING)),
        Pattern.DATIVE: tuple(_with_third(Pattern.DATIVE, _DATIVE)),
        Pattern.CONCERNING: tuple(_with_link(Pattern.CONCERNING, _CONCERNING)),
        Pattern.SAYING: tuple(_intransitive(Pattern.SAYING, _SAYING)),
        Pattern.WONDERING: tuple(_intransitive(Pattern.WONDERING, _WONDERING)),
        Pattern.TELLING: tuple(_with_object(Pattern.TELLING, _TELLING)),
        Pattern.WANTING: tuple(_intransitive(Pattern.WANTING, _WANTING)),
        Pattern.ASKING: tuple(_with_object(Pattern.ASKING, _ASKING)),
        Pattern.EXPECTING: tuple(_with_object(Pattern.EXPECTING, _EXPECTING)),
        Pattern.RAISING: tuple(_intransitive(Pattern.RAISING, _RAISING)),
    }
)


def _lemma_of(frame: VerbFrame) -> str:
    return frame.forms.base


def _entries() -> dict[str, VerbEntry]:
    frames = [frame for group in FRAMES.values() for frame in group]
    lemmas = sorted({_lemma_of(frame) for frame in frames})
    return {
        lemma: VerbEntry(lemma, verb_forms(lemma), tuple(frame for frame in frames if _lemma_of(frame) == lemma))
        for lemma in lemmas
    }


VERBS: Mapping[str, VerbEntry] = MappingProxyType(_entries())

_SUITABLE = {kind: {kind} for kind in Kind} | {
    Kind.PERSON: {Kind.PERSON, Kind.AGENT},
    Kind.ORG: {Kind.ORG, Kind.AGENT},
    Kind.AGENT: {Kind.PERSON, Kind.ORG, Kind.AGENT},
}


def frames_for_subject(subject: Kind, patterns: Iterable[Pattern]) -> Mapping[Pattern, WordList[VerbFrame]]:
    """The frames that a subject of this kind may take, by pattern; patterns without any are left out."""
    return _grouped(patterns, lambda frame: frame.subject in _SUITABLE[subject])


def frames_for_object(obj: Kind, patterns: Iterable[Pattern]) -> Mapping[Pattern, WordList[VerbFrame]]:
    """The frames that a direct object of this kind may complete, by pattern."""
    return _grouped(patterns, lambda frame: frame.object in _SUITABLE[obj])


def frames_of(patterns: Iterable[Pattern]) -> Mapping[Pattern, WordList[VerbFrame]]:
    """All frames by pattern."""
    return _grouped(patterns, lambda _: True)


def _grouped(patterns: Iterable[Pattern], keep: Callable[[VerbFrame], bool]) -> Mapping[Pattern, WordList[VerbFrame]]:
    lists = {
        pattern: WordList([frame for frame in FRAMES[pattern] if keep(frame)], lemma_of=_lemma_of)
        for pattern in patterns
    }
    return {pattern: group for pattern, group in lists.items() if group.common}


NOUN_FRAMES = WordList(
    [
        NounFrame(noun, sense, link) if obj == "-" else NounFrame(noun, sense, link, Kind(obj))
        for noun, sense, link, obj in _cells(_NOUNS)
    ],
    lemma_of=lambda frame: frame.noun,
)
