"""Which label may follow which, in a form that decoding can use in time linear in the number of labels."""

from collections.abc import Sequence
from dataclasses import dataclass

from seqmtl.errors import LabelError
from seqmtl.labels.schemes import Scheme, split_tag


@dataclass(frozen=True)
class TagStructure:
    """The transitions that a scheme allows among the labels of an inventory; L labels, by id.

    A label is *free* when ``continues`` is empty for it: it may stand wherever the span before it may end. Any other
    label continues a span, and its few predecessors are listed. So each label looks at the best of the labels that may
    end, or at no more than two others, and Viterbi needs no L x L maximum.

    Attributes:
        starts: per label, whether it may be the first of a sentence.
        ends: per label, whether what it belongs to may end with it, at the end of the sentence or before a free label.
        continues: per label, the ids of the only labels that it may follow, at most two; empty for a free label.
    """

    starts: tuple[bool, ...]
    ends: tuple[bool, ...]
    continues: tuple[tuple[int, ...], ...]


def tag_structure(labels: Sequence[str], *, scheme: Scheme | None) -> TagStructure:
    """Work out the structure of an inventory; without a scheme every label is free.

    A label whose predecessors are all missing from the inventory (``E-X`` with neither ``B-X`` nor ``I-X``) gets itself
    as its only predecessor: it can then never be reached.

    Raises:
        LabelError: when a label is no tag of the scheme.
    """
    if scheme is None:
        return TagStructure((True,) * len(labels), (True,) * len(labels), ((),) * len(labels))
    id_of = {label: index for index, label in enumerate(labels)}
    continues = tuple(_predecessors(label, id_of, scheme) for label in labels)
    ends = tuple(not (scheme is Scheme.BIOES and split_tag(label).prefix in "BI") for label in labels)
    return TagStructure(tuple(not before for before in continues), ends, continues)


def allowed_transitions(structure: TagStructure) -> tuple[list[bool], list[list[bool]], list[bool]]:
    """Spell the structure out: start [L], transition [from L][to L], end [L]."""
    transition = [
        [source in before if before else may_end for before in structure.continues]
        for source, may_end in enumerate(structure.ends)
    ]
    return list(structure.starts), transition, list(structure.ends)


def _predecessors(label: str, id_of: dict[str, int], scheme: Scheme) -> tuple[int, ...]:
    """The ids of the labels that ``label`` continues; empty when it is free."""
    tag = split_tag(label)
    if tag.prefix not in scheme.prefixes:
        allowed = ", ".join(scheme.prefixes)
        raise LabelError(f"the label {label!r} does not belong to the scheme '{scheme}', whose prefixes are {allowed}")
    continuing = "B" if scheme is Scheme.IOB1 else "IE"
    if tag.prefix not in continuing:
        return ()
    found = tuple(id_of[name] for name in (f"B-{tag.label}", f"I-{tag.label}") if name in id_of)
    return found or (id_of[label],)
