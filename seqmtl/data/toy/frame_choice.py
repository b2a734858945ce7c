"""Which verb frame a clause gets: first a pattern by weight, then a frame of that pattern."""

from collections.abc import Iterable, Mapping
from itertools import accumulate

from seqmtl.data.toy.dice import Dice
from seqmtl.data.toy.lexicon import Kind
from seqmtl.data.toy.verbs import Pattern, VerbFrame, frames_for_object, frames_for_subject, frames_of
from seqmtl.data.toy.wordlist import WordList

_WEIGHTS = {
    Pattern.ACTING: 8,
    Pattern.HAPPENING: 8,
    Pattern.TRANSITIVE: 34,
    Pattern.CHANGING: 5,
    Pattern.PARTICLE: 6,
    Pattern.PLACING: 7,
    Pattern.SOURCE: 6,
    Pattern.GIVING: 10,
    Pattern.DATIVE: 5,
    Pattern.CONCERNING: 9,
    Pattern.SAYING: 16,
    Pattern.WONDERING: 4,
    Pattern.TELLING: 6,
    Pattern.WANTING: 12,
    Pattern.ASKING: 8,
    Pattern.EXPECTING: 4,
    Pattern.RAISING: 6,
}
_WITH_CLAUSE = (Pattern.SAYING, Pattern.WONDERING, Pattern.TELLING, Pattern.WANTING, Pattern.ASKING, Pattern.EXPECTING)
_WITHOUT_CLAUSE = tuple(pattern for pattern in Pattern if pattern not in (*_WITH_CLAUSE, Pattern.RAISING))
_PASSIVE = (
    Pattern.TRANSITIVE,
    Pattern.CHANGING,
    Pattern.PARTICLE,
    Pattern.PLACING,
    Pattern.SOURCE,
    Pattern.GIVING,
    Pattern.DATIVE,
)
_PASSIVE_WITH_CLAUSE = (Pattern.ASKING, Pattern.TELLING, Pattern.RAISING)
# A direct object right after the verb, or followed by a phrase that can stand after a gap.
_EXTRACTABLE = (Pattern.TRANSITIVE, Pattern.CHANGING, Pattern.PLACING, Pattern.SOURCE, Pattern.GIVING)
_NEVER_PASSIVE = frozenset(("have", "want", "like", "marry", "know", "get", "miss"))


class FrameChoice:
    """A weighted choice among frames grouped by pattern."""

    def __init__(self, groups: Mapping[Pattern, WordList[VerbFrame]]) -> None:
        self._groups = list(groups.values())
        self._weights = list(accumulate(_WEIGHTS[pattern] for pattern in groups))

    def __bool__(self) -> bool:
        return bool(self._groups)

    def draw(self, dice: Dice) -> VerbFrame:
        """Draw one frame."""
        return dice.word(dice.weighted(self._groups, cumulative=self._weights))


def may_be_passive(frame: VerbFrame) -> bool:
    """Whether the verb has a passive at all."""
    return frame.forms.base not in _NEVER_PASSIVE


def _by_subject(patterns: Iterable[Pattern]) -> dict[Kind, FrameChoice]:
    chosen = tuple(patterns)
    return {kind: FrameChoice(frames_for_subject(kind, chosen)) for kind in Kind}


# The key says whether the frame may take a clause.
ACTIVE = {
    True: FrameChoice(frames_of((*_WITHOUT_CLAUSE, *_WITH_CLAUSE))),
    False: FrameChoice(frames_of(_WITHOUT_CLAUSE)),
}
PASSIVE = {
    True: FrameChoice(frames_of((*_PASSIVE, *_PASSIVE_WITH_CLAUSE))),
    False: FrameChoice(frames_of(_PASSIVE)),
}
FOR_SUBJECT = {True: _by_subject((*_WITHOUT_CLAUSE, *_WITH_CLAUSE)), False: _by_subject(_WITHOUT_CLAUSE)}
FOR_OBJECT = {kind: FrameChoice(frames_for_object(kind, _EXTRACTABLE)) for kind in Kind}
SPEAKING = FrameChoice(frames_of((Pattern.SAYING,)))
