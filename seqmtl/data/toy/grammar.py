"""Clauses: verb phrases with their complements and adjuncts, and the noun phrases that hold clauses.

Everything here may contain itself, so every builder takes a ``depth``: how many more clauses may be nested. A frame is
created where its verb phrase is, from the very nodes that stand in the tree.
"""

from dataclasses import dataclass, field

from seqmtl.data.toy import adjuncts, closed, frame_choice
from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.frame_choice import may_be_passive
from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.morphology import plural
from seqmtl.data.toy.noun_phrases import (
    NounPhrase,
    coordinated,
    noun_phrase,
    possessive_pronoun,
    possessor,
    premodifiers,
    prepositional,
)
from seqmtl.data.toy.tree import FrameDraft, LabelledNode, Leaf, Node, Phrase, Token, chunk, first_leaf, outside
from seqmtl.data.toy.verb_groups import (
    Agreement,
    Tense,
    VerbGroup,
    finite_group,
    infinitive_group,
    participle_group,
)
from seqmtl.data.toy.verbs import NOUN_FRAMES, NounFrame, Pattern, VerbFrame

# What fills a role: nodes with a prefix for the label, "" or "R-". Nothing at all fills the subject of an imperative.
Filler = tuple[tuple[str, Node], ...]

_TENSES = (Tense.PAST, Tense.PAST, Tense.PRESENT, Tense.MODAL)
_BARE = ("NN", "NNS", "JJ", "RB")
_TIME_CONJUNCTIONS = ("when", "after", "before", "while", "until", "since")


@dataclass
class Complements:
    """What stands after a verb, collected in order of the words, and the arguments among it."""

    nodes: list[Node] = field(default_factory=list)
    arguments: list[LabelledNode] = field(default_factory=list)
    last: Kind | None = None
    heavy: bool = False

    def add(self, label: str, node: Node, *, last: Kind | None = None, heavy: bool = False) -> None:
        """Append one argument."""
        self.nodes.append(node)
        self.arguments.append((label, node))
        self.last, self.heavy = last, heavy

    def add_noun(self, label: str, noun: NounPhrase) -> None:
        """Append a noun phrase as an argument."""
        self.add(label, noun.node, last=noun.kind, heavy=noun.heavy)

    def add_prepositional(self, label: str, link: str, noun: NounPhrase) -> None:
        """Append a prepositional phrase as an argument."""
        self.add(label, prepositional(link, noun.node), last=noun.kind, heavy=noun.heavy)


@dataclass(frozen=True)
class VerbPhrase:
    """A verb phrase; ``heavy`` says that it ends in a clause."""

    node: Phrase
    heavy: bool


@dataclass(frozen=True)
class Clause:
    """A finite clause in its parts, so that a reporting clause can stand between them."""

    fronted: tuple[Node, ...]
    subject: NounPhrase
    predicate: VerbPhrase

    @property
    def node(self) -> Phrase:
        """The whole clause as one constituent."""
        return Phrase((*self.fronted, self.subject.node, self.predicate.node))


def filled(label: str, filler: Filler) -> list[LabelledNode]:
    """Label the nodes of a filler."""
    return [(prefix + label, node) for prefix, node in filler]


def agreement_with(noun: NounPhrase) -> Agreement:
    """The person and number that a subject asks of its verb."""
    return Agreement(noun.person, noun.plural)


def is_personal_pronoun(noun: NounPhrase) -> bool:
    """Whether an auxiliary after this subject may be contracted."""
    return isinstance(noun.node, Leaf) and noun.node.token.xpos == "PRP"


# Clauses


def clause(dice: Dice, *, depth: int, fronting: bool = True) -> Clause:
    """Build a finite clause, active or passive."""
    tense = dice.pick(_TENSES)
    front = _fronted(dice, tense, depth=depth) if fronting and dice.chance(0.14) else None
    extra = (front,) if front else ()
    passive = dice.chance(0.16)
    frame = _passive_frame(dice, depth) if passive else frame_choice.ACTIVE[depth > 0].draw(dice)
    kind = _passive_subject_kind(dice, frame) if passive else frame.subject
    subject = argument(dice, kind, subject=True, depth=depth - 1)
    passive_kind = kind if passive else None
    predicate = finite_phrase(dice, frame, subject, tense=tense, depth=depth, passive_kind=passive_kind, extra=extra)
    if depth > 0 and not passive and not front and not predicate.heavy and dice.chance(0.25):
        predicate = _coordinated_predicates(dice, predicate, subject, tense=tense)
    fronted = (front[1], outside(closed.COMMA)) if front else ()
    return Clause(fronted, subject, predicate)


def finite_phrase(
    dice: Dice,
    frame: VerbFrame,
    subject: NounPhrase,
    *,
    tense: Tense,
    depth: int,
    filler: Filler | None = None,
    passive_kind: Kind | None = None,
    extra: tuple[LabelledNode, ...] = (),
    gap: Filler | None = None,
) -> VerbPhrase:
    """A finite verb phrase for ``subject``; ``passive_kind`` is what a passive subject denotes, None in the active."""
    passive = passive_kind is not None
    agreement, spoken = agreement_with(subject), is_personal_pronoun(subject)
    group = finite_group(dice, frame.forms, tense=tense, agreement=agreement, passive=passive, after_pronoun=spoken)
    who = filler if filler is not None else (("", subject.node),)
    return verb_phrase(
        dice, frame, who, group=group, tense=tense, depth=depth, passive_kind=passive_kind, extra=extra, gap=gap
    )


def verb_phrase(
    dice: Dice,
    frame: VerbFrame,
    subject: Filler,
    *,
    group: VerbGroup,
    tense: Tense,
    depth: int,
    passive_kind: Kind | None = None,
    extra: tuple[LabelledNode, ...] = (),
    gap: Filler | None = None,
    adjoined: bool = True,
) -> VerbPhrase:
    """The verb group with complements and adjuncts, and the frame that they make with ``subject``.

    Args:
        dice: makes the choices.
        frame: what the verb asks for.
        subject: fills the role of the subject.
        group: the verb group.
        tense: suits the time expressions.
        depth: how many clauses may be nested inside.
        passive_kind: what the subject of a passive denotes; None in the active.
        extra: arguments that stand before the verb phrase, such as a fronted adjunct.
        adjoined: whether adjuncts may follow the verb.
        gap: fills the role of the direct object from outside, which then has no words here.
    """
    if passive_kind is not None:
        role, rest = _passive_complements(dice, frame, subject, depth=depth, subject_kind=passive_kind)
    else:
        role = "ARG1" if frame.pattern is Pattern.HAPPENING else "ARG0"
        rest = _complements(dice, frame, subject, depth=depth, gap=gap)
    if adjoined and not rest.heavy:
        _add_adjuncts(dice, rest, tense=tense, depth=depth, taken=[label for label, _ in extra])
    arguments = (*filled(role, subject), *rest.arguments, *group.modifiers, *extra)
    draft = FrameDraft(group.head, frame.sense, arguments)
    return VerbPhrase(Phrase((*group.leaves, *rest.nodes), (draft,)), rest.heavy)


def infinitive(dice: Dice, subject: Filler, kind: Kind, *, depth: int, joined: bool) -> Phrase:
    """``to`` and a verb phrase whose subject, if any, stands elsewhere."""
    frame = frame_choice.FOR_SUBJECT[depth > 0][kind].draw(dice)
    group = infinitive_group(dice, frame.forms, joined=joined)
    return verb_phrase(dice, frame, subject, group=group, tense=Tense.MODAL, depth=depth).node


# Noun phrases that hold clauses or frames


def argument(dice: Dice, kind: Kind, *, depth: int, subject: bool = False) -> NounPhrase:
    """A noun phrase for an argument: plain, joined with others, with a relative clause, or an event noun."""
    if kind in (Kind.TOPIC, Kind.EVENT) and dice.chance(0.4):
        return event_noun(dice, depth=depth)
    first = noun_phrase(dice, kind, subject=subject)
    if isinstance(first.node, Leaf) or first.heavy:
        return first
    if dice.chance(0.06):
        return _joined(dice, first)
    if depth >= 0 and first.relatable and dice.chance(0.3):
        return with_relative_clause(dice, first)
    return first


def with_relative_clause(dice: Dice, antecedent: NounPhrase) -> NounPhrase:
    """Add a relative clause: its frame takes the antecedent as argument, and the relative pronoun as ``R-``."""
    build = dice.pick(_RELATIVES)
    relative = build(dice, antecedent)
    if relative is None:
        return antecedent
    return NounPhrase(
        Phrase((antecedent.node, relative)), antecedent.kind, antecedent.plural, antecedent.person, heavy=True
    )


def event_noun(dice: Dice, *, depth: int) -> NounPhrase:
    """A noun with a frame, such as ``Anna 's decision to leave``; without any argument it has none."""
    frame = dice.word(NOUN_FRAMES)
    owner = _event_owner(dice)
    many = frame.countable and dice.chance(0.3)
    inside = [*premodifiers(dice)[:1], closed.noun(plural(frame.noun) if many else frame.noun, plural=many)]
    if isinstance(owner, Phrase):
        leaves = chunk("NP", [closed.POSSESSIVE, *inside])[1:]
        nodes: tuple[Node, ...] = (owner, *leaves)
    else:
        indefinite = frame.countable and not many and dice.chance(0.3)
        determiner = closed.indefinite(inside[0].text) if indefinite else closed.THE
        first = owner.token if owner else determiner
        leaves = chunk("NP", [first, *inside])
        owner = leaves[0] if owner else None
        nodes = leaves
    arguments: list[LabelledNode] = [("ARG0", owner)] if owner else []
    if dice.chance(0.75 if owner else 0.8):
        complement = _event_complement(dice, frame, owner, depth=depth)
        arguments.append(("ARG1", complement))
        nodes = (*nodes, complement)
    drafts = (FrameDraft(leaves[-1], frame.sense, tuple(arguments)),) if arguments else ()
    heavy = frame.link == "to-verb" and nodes[-1] is not leaves[-1]
    # Its complement may end in a place or an organisation, which no locative should follow.
    return NounPhrase(Phrase(nodes, drafts), Kind.EVENT, plural=many, heavy=heavy)


def _event_owner(dice: Dice) -> Phrase | Leaf | None:
    roll = dice.number(1, 10)
    if roll <= 4:
        return possessor(dice)
    return Leaf(possessive_pronoun(dice), "B-NP") if roll <= 6 else None


def _event_complement(dice: Dice, frame: NounFrame, owner: Node | None, *, depth: int) -> Phrase:
    if frame.link == "to-verb":
        subject: Filler = (("", owner),) if owner else ()
        return infinitive(dice, subject, Kind.PERSON, depth=depth - 1, joined=False)
    return prepositional(frame.link, noun_phrase(dice, frame.object).node)


def _joined(dice: Dice, first: NounPhrase) -> NounPhrase:
    parts = [first]
    for _ in range(2 if dice.chance(0.2) else 1):
        part = noun_phrase(dice, first.kind)
        # A bare noun after "and" would share the chunk of the noun before it.
        if isinstance(part.node, Phrase) and not part.heavy and first_leaf(part.node).token.xpos not in _BARE:
            parts.append(part)
    if len(parts) == 1:
        return first
    return coordinated(parts, conjunction=closed.OR if dice.chance(0.12) else closed.AND)


# Relative clauses


def _relativiser(dice: Dice, antecedent: NounPhrase) -> Leaf:
    if antecedent.kind is Kind.PERSON:
        return chunk("NP", [closed.WHO if dice.chance(0.75) else closed.RELATIVE_THAT])[0]
    return chunk("NP", [closed.RELATIVE_THAT if dice.chance(0.6) else closed.WHICH])[0]


def _subject_relative(dice: Dice, antecedent: NounPhrase) -> Phrase | None:
    choice = frame_choice.FOR_SUBJECT[False][antecedent.kind]
    if not choice:
        return None
    relative = _relativiser(dice, antecedent)
    filler: Filler = (("", antecedent.node), ("R-", relative))
    tense = dice.pick(_TENSES)
    inner = finite_phrase(dice, choice.draw(dice), antecedent, tense=tense, depth=0, filler=filler)
    return Phrase((relative, inner.node))


def _object_relative(dice: Dice, antecedent: NounPhrase) -> Phrase | None:
    choice = frame_choice.FOR_OBJECT[antecedent.kind]
    if not choice:
        return None
    frame = choice.draw(dice)
    subject = noun_phrase(dice, frame.subject, subject=True)
    gap: Filler = (("", antecedent.node),)
    front: tuple[Node, ...] = ()
    if dice.chance(0.65):
        relative = chunk("NP", [closed.RELATIVE_THAT if dice.chance(0.7) else closed.WHICH])[0]
        if antecedent.kind is Kind.PERSON:
            relative = chunk("NP", [closed.RELATIVE_THAT if dice.chance(0.5) else closed.WHO])[0]
        gap, front = (*gap, ("R-", relative)), (relative,)
    inner = finite_phrase(dice, frame, subject, tense=dice.pick(_TENSES), depth=0, gap=gap)
    return Phrase((*front, subject.node, inner.node))


def _passive_relative(dice: Dice, antecedent: NounPhrase) -> Phrase | None:
    choice = frame_choice.FOR_OBJECT[antecedent.kind]
    frame = choice.draw(dice) if choice else None
    if frame is None or not may_be_passive(frame):
        return None
    relative = _relativiser(dice, antecedent)
    filler: Filler = (("", antecedent.node), ("R-", relative))
    inner = finite_phrase(
        dice, frame, antecedent, tense=dice.pick(_TENSES), depth=0, filler=filler, passive_kind=frame.object
    )
    return Phrase((relative, inner.node))


def _reduced_relative(dice: Dice, antecedent: NounPhrase) -> Phrase | None:
    choice = frame_choice.FOR_OBJECT[antecedent.kind]
    frame = choice.draw(dice) if choice else None
    if frame is None or not may_be_passive(frame):
        return None
    rest = Complements()
    if frame.pattern in (Pattern.PLACING, Pattern.SOURCE):
        _add_third(dice, frame, rest)
    if not rest.nodes or dice.chance(0.3):
        rest.add_prepositional("ARG0", "by", noun_phrase(dice, frame.subject))
    group = participle_group(frame.forms)
    draft = FrameDraft(group.head, frame.sense, (("ARG1", antecedent.node), *rest.arguments))
    return Phrase((*group.leaves, *rest.nodes), (draft,))


_RELATIVES = (
    _subject_relative,
    _subject_relative,
    _object_relative,
    _object_relative,
    _reduced_relative,
    _passive_relative,
)


# Complements


def _complements(dice: Dice, frame: VerbFrame, subject: Filler, *, depth: int, gap: Filler | None) -> Complements:
    """The complements of an active verb."""
    rest = Complements()
    match frame.pattern:
        case Pattern.ACTING | Pattern.HAPPENING:
            pass
        case Pattern.TRANSITIVE | Pattern.CHANGING | Pattern.PLACING | Pattern.SOURCE | Pattern.DATIVE:
            _add_object(dice, frame, rest, depth=depth, gap=gap)
            if frame.links:
                _add_third(dice, frame, rest)
        case Pattern.PARTICLE:
            _add_with_particle(dice, frame, rest, depth=depth)
        case Pattern.GIVING:
            _add_gift(dice, frame, rest, depth=depth, gap=gap)
        case Pattern.CONCERNING:
            rest.add_prepositional("ARG1", dice.pick(frame.links), argument(dice, frame.object, depth=depth - 1))
        case Pattern.SAYING:
            rest.add("ARG1", _that_clause(dice, depth=depth, droppable=True), heavy=True)
        case Pattern.WONDERING:
            conjunction = closed.subordinator(dice.pick(("whether", "if")))
            inner = clause(dice, depth=depth - 1, fronting=False).node
            rest.add("ARG1", Phrase((*chunk("SBAR", [conjunction]), inner)), heavy=True)
        case Pattern.TELLING:
            rest.add_noun("ARG2", noun_phrase(dice, frame.object))
            rest.add("ARG1", _that_clause(dice, depth=depth, droppable=False), heavy=True)
        case Pattern.WANTING:
            kind = frame.subject
            rest.add("ARG1", infinitive(dice, subject, kind, depth=depth - 1, joined=True), heavy=True)
        case Pattern.ASKING:
            other = noun_phrase(dice, frame.object)
            inner = infinitive(dice, (("", other.node),), other.kind, depth=depth - 1, joined=False)
            rest.add_noun("ARG2", other)
            rest.add("ARG1", inner, heavy=True)
        case Pattern.EXPECTING:
            other = noun_phrase(dice, frame.object)
            inner = infinitive(dice, (("", other.node),), other.kind, depth=depth - 1, joined=False)
            rest.add("ARG1", Phrase((other.node, inner)), heavy=True)
        case Pattern.RAISING:
            raise AssertionError("raising verbs are built in the passive only")
    return rest


def _passive_complements(
    dice: Dice, frame: VerbFrame, subject: Filler, *, depth: int, subject_kind: Kind
) -> tuple[str, Complements]:
    """The role of the subject of a passive, and what follows the participle."""
    rest = Complements()
    role = "ARG1"
    match frame.pattern:
        case Pattern.PLACING | Pattern.SOURCE | Pattern.DATIVE:
            if dice.chance(0.8):
                _add_third(dice, frame, rest)
        case Pattern.PARTICLE:
            rest.nodes += chunk("PRT", [_particle(frame)])
        case Pattern.GIVING if subject_kind is not frame.object:
            role = "ARG2"
            rest.add_noun("ARG1", argument(dice, frame.object, depth=depth - 1))
        case Pattern.GIVING:
            if dice.chance(0.7):
                _add_third(dice, frame, rest)
        case Pattern.ASKING:
            inner = infinitive(dice, subject, Kind.PERSON, depth=depth - 1, joined=True)
            rest.add("ARG1", inner, heavy=True)
            return "ARG2", rest
        case Pattern.TELLING:
            rest.add("ARG1", _that_clause(dice, depth=depth, droppable=False), heavy=True)
            return "ARG2", rest
        case Pattern.RAISING:
            inner = infinitive(dice, subject, frame.subject, depth=depth - 1, joined=True)
            rest.add("C-ARG1", inner, heavy=True)
            return role, rest
        case _:
            pass
    if not rest.heavy and dice.chance(0.5):
        rest.add_prepositional("ARG0", "by", noun_phrase(dice, frame.subject))
    return role, rest


def _add_object(dice: Dice, frame: VerbFrame, rest: Complements, *, depth: int, gap: Filler | None) -> None:
    if gap is not None:
        rest.arguments += filled("ARG1", gap)
        return
    # An object that ended in a clause would swallow the phrase after it.
    noun = noun_phrase(dice, frame.object) if frame.links else argument(dice, frame.object, depth=depth - 1)
    rest.add_noun("ARG1", noun)


def _add_third(dice: Dice, frame: VerbFrame, rest: Complements) -> None:
    rest.add_prepositional("ARG2", dice.pick(frame.links), noun_phrase(dice, frame.other))


def _add_gift(dice: Dice, frame: VerbFrame, rest: Complements, *, depth: int, gap: Filler | None) -> None:
    """``gave Anna a book`` or ``gave a book to Anna``; only the second leaves a gap where the gift was."""
    gift = argument(dice, frame.object, depth=depth - 1) if gap is None and dice.chance(0.5) else None
    if gift is not None and isinstance(gift.node, Phrase):  # "gave Anna it" is no English
        rest.add_noun("ARG2", noun_phrase(dice, frame.other))
        rest.add_noun("ARG1", gift)
        return
    _add_object(dice, frame, rest, depth=depth, gap=gap)
    _add_third(dice, frame, rest)


def _add_with_particle(dice: Dice, frame: VerbFrame, rest: Complements, *, depth: int) -> None:
    """``carried out the plan``, ``carried it out``, ``carried the plan out``."""
    particle = chunk("PRT", [_particle(frame)])
    noun = argument(dice, frame.object, depth=depth - 1)
    if isinstance(noun.node, Leaf) or (not noun.heavy and dice.chance(0.2)):
        rest.add_noun("ARG1", noun)
        rest.nodes += particle
    else:
        rest.nodes += particle
        rest.add_noun("ARG1", noun)


def _particle(frame: VerbFrame) -> Token:
    """A particle; UD and Penn tell it from a preposition."""
    return Token(frame.links[0], "ADP", "RP")


def _that_clause(dice: Dice, *, depth: int, droppable: bool) -> Phrase:
    inner = clause(dice, depth=depth - 1, fronting=False).node
    if droppable and dice.chance(0.3):
        return inner
    return Phrase((*chunk("SBAR", [closed.THAT_CLAUSE]), inner))


# Adjuncts and coordination


def _add_adjuncts(dice: Dice, rest: Complements, *, tense: Tense, depth: int, taken: list[str]) -> None:
    """Manner, place and time, in this order, each now and then unless ``taken``; perhaps a clause of time."""
    found: list[LabelledNode] = []
    if "ARGM-MNR" not in taken and dice.chance(0.1):
        found.append(adjuncts.manner(dice))
    roomy = rest.last is None or adjuncts.takes_place_adjunct(rest.last)
    if roomy and "ARGM-LOC" not in taken and dice.chance(0.14):
        found.append(adjuncts.locative(dice))
    if "ARGM-TMP" in taken:
        pass
    elif dice.chance(0.2):
        found.append(adjuncts.temporal(dice, tense))
    elif depth > 0 and dice.chance(0.06):
        found.append(("ARGM-TMP", time_clause(dice)))
        rest.heavy = True
    rest.nodes += [node for _, node in found]
    rest.arguments += found


def time_clause(dice: Dice) -> Phrase:
    """``when the river rose``."""
    conjunction = closed.subordinator(dice.pick(_TIME_CONJUNCTIONS))
    opening = chunk("ADVP" if conjunction.upos == "ADV" else "SBAR", [conjunction])
    return Phrase((*opening, clause(dice, depth=0, fronting=False).node))


def _fronted(dice: Dice, tense: Tense, *, depth: int) -> LabelledNode:
    roll = dice.number(1, 10)
    if roll <= 5:
        return adjuncts.temporal(dice, tense)
    if roll <= 8 or depth == 0:
        return adjuncts.locative(dice)
    return ("ARGM-TMP", time_clause(dice)) if roll == 9 else ("ARGM-MNR", adjuncts.manner_adverb(dice))


def _coordinated_predicates(dice: Dice, first: VerbPhrase, subject: NounPhrase, *, tense: Tense) -> VerbPhrase:
    """``bought a car and sold the house``: both frames have the same subject."""
    choice = frame_choice.FOR_SUBJECT[False][subject.kind]
    if not choice:
        return first
    second = finite_phrase(dice, choice.draw(dice), subject, tense=tense, depth=0)
    joint = outside(closed.AND if dice.chance(0.8) else closed.BUT)
    return VerbPhrase(Phrase((first.node, joint, second.node)), second.heavy)


def _passive_frame(dice: Dice, depth: int) -> VerbFrame:
    frame = frame_choice.PASSIVE[depth > 0].draw(dice)
    while not may_be_passive(frame):
        frame = frame_choice.PASSIVE[depth > 0].draw(dice)
    return frame


def _passive_subject_kind(dice: Dice, frame: VerbFrame) -> Kind:
    match frame.pattern:
        case Pattern.GIVING if dice.chance(0.35):
            return frame.other
        case Pattern.RAISING:
            return frame.subject
        case _:
            return frame.object
