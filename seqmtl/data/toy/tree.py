"""Constituents with their layers, and the row that a finished sentence becomes.

A sentence is a tree of phrases over leaves. A leaf carries its word and its token-level tags; a frame points at leaves
and phrases, never at numbers, so that every argument is a constituent (hence contiguous) and offsets appear only at the
end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Token(NamedTuple):
    """A word with its tags before it has a place in a chunk."""

    text: str
    upos: str
    xpos: str
    ner: str = "O"


@dataclass(frozen=True, eq=False, slots=True)
class Leaf:
    """A word in its chunk; compared by identity, because the same word may occur twice in a sentence."""

    token: Token
    chunk: str


@dataclass(frozen=True, eq=False, slots=True)
class FrameDraft:
    """A predicate with its arguments as nodes of the tree."""

    predicate: Leaf
    sense: str
    arguments: "tuple[LabelledNode, ...]"


@dataclass(frozen=True, eq=False, slots=True)
class Phrase:
    """Some nodes in order, and the frames whose predicates the phrase introduces."""

    children: "tuple[Node, ...]"
    frames: tuple[FrameDraft, ...] = ()


Node = Leaf | Phrase
LabelledNode = tuple[str, Node]


def chunk(kind: str, tokens: Iterable[Token]) -> tuple[Leaf, ...]:
    """Put ``tokens`` into one chunk of this kind."""
    return tuple(Leaf(token, f"{'I' if i else 'B'}-{kind}") for i, token in enumerate(tokens))


def outside(token: Token) -> Leaf:
    """A word that no chunk holds: punctuation, conjunctions, interjections, inverted auxiliaries."""
    return Leaf(token, "O")


def first_leaf(node: Node) -> Leaf:
    """The first word of a node."""
    while isinstance(node, Phrase):
        node = node.children[0]
    return node


def entity(kind: str, tokens: Sequence[Token]) -> list[Token]:
    """Mark ``tokens`` as one named entity of this kind."""
    return [token._replace(ner=f"{'I' if i else 'B'}-{kind}") for i, token in enumerate(tokens)]


def to_row(sentence: Phrase) -> dict[str, object]:
    """Read the canonical row (without its id) off a finished sentence."""
    leaves: list[Leaf] = []
    frames: list[FrameDraft] = []
    extents: dict[int, tuple[int, int]] = {}
    _visit(sentence, leaves, frames, extents)
    tokens = [leaf.token.text for leaf in leaves]
    for index, previous in enumerate([None, *leaves[:-1]]):
        if previous is None or previous.token.xpos == "``":
            tokens[index] = tokens[index][0].upper() + tokens[index][1:]
    drafts = sorted(frames, key=lambda draft: extents[id(draft.predicate)])
    return {
        "tokens": tokens,
        "upos": [leaf.token.upos for leaf in leaves],
        "xpos": [leaf.token.xpos for leaf in leaves],
        "chunk_tags": [leaf.chunk for leaf in leaves],
        "ner_tags": [leaf.token.ner for leaf in leaves],
        "srl_frames": [_frame_row(draft, extents, len(tokens)) for draft in drafts],
    }


def _visit(node: Node, leaves: list[Leaf], frames: list[FrameDraft], extents: dict[int, tuple[int, int]]) -> None:
    start = len(leaves)
    if isinstance(node, Leaf):
        leaves.append(node)
    else:
        for child in node.children:
            _visit(child, leaves, frames, extents)
        frames.extend(node.frames)
    assert id(node) not in extents, "a node stands twice in one sentence"
    extents[id(node)] = (start, len(leaves))


def _frame_row(draft: FrameDraft, extents: dict[int, tuple[int, int]], length: int) -> dict[str, object]:
    tags = ["O"] * length
    for label, node in (*draft.arguments, ("V", draft.predicate)):
        start, end = extents[id(node)]
        assert all(tag == "O" for tag in tags[start:end]), f"{label} of {draft.sense} overlaps another argument"
        tags[start:end] = [f"B-{label}"] + [f"I-{label}"] * (end - start - 1)
    return {"predicate": extents[id(draft.predicate)][0], "sense": draft.sense, "tags": tags}
