"""A stream of texts in windows that are tagged together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seqmtl.documents import Offsets, segment


@dataclass(frozen=True)
class Segmented:
    """A text and the offsets of the words of its sentences (see ``segment``)."""

    text: str
    sentences: list[list[Offsets]]

    @property
    def words(self) -> int:
        """How many words there are."""
        return sum(map(len, self.sentences))

    def tokens(self) -> Iterator[list[str]]:
        """The words of each sentence."""
        return ([self.text[start:end] for start, end in sentence] for sentence in self.sentences)


def windows(texts: Iterable[str], *, words: int) -> Iterator[list[Segmented]]:
    """Group texts, in order, until a group has ``words`` words; no text is asked for before its group is."""
    window: list[Segmented] = []
    found = 0
    for text in texts:
        segmented = Segmented(text, segment(text))
        window.append(segmented)
        found += segmented.words
        if found >= words:
            yield window
            window, found = [], 0
    if window:
        yield window
