"""What to do with tags that break their scheme."""

from collections.abc import Sequence
from enum import StrEnum

from seqmtl.labels.schemes import Scheme, lenient_spans, tags_of, violations

__all__ = ["Policy", "repaired", "violations"]


class Policy(StrEnum):
    """What a reader does at a tag that breaks the scheme of its corpus."""

    ERROR = "error"
    REPAIR = "repair"


def repaired(tags: Sequence[str], *, scheme: Scheme) -> list[str]:
    """Return valid tags for the spans that conlleval would read; valid tags come back unchanged.

    Raises:
        LabelError: when something is not a span tag at all.
    """
    return tags_of(lenient_spans(tags), length=len(tags), scheme=scheme)
