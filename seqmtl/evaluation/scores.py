"""What an evaluation says about one task. All scores are fractions between 0 and 1."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PRF:
    """Counts of correct, predicted and gold items, and the ratios that follow from them; an undefined ratio is 0."""

    correct: int
    predicted: int
    gold: int

    def __add__(self, other: "PRF") -> "PRF":
        """Return the counts of both taken together.

        >>> PRF(1, 2, 2) + PRF(0, 1, 0)
        PRF(correct=1, predicted=3, gold=2)
        """
        return PRF(self.correct + other.correct, self.predicted + other.predicted, self.gold + other.gold)

    @property
    def precision(self) -> float:
        """Share of the predicted items that are correct."""
        return _ratio(self.correct, self.predicted)

    @property
    def recall(self) -> float:
        """Share of the gold items that were found."""
        return _ratio(self.correct, self.gold)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, written so that one undefined half needs no special case."""
        return _ratio(2 * self.correct, self.predicted + self.gold)


@dataclass(frozen=True)
class TaskScore:
    """The scores of one task on one set of sentences.

    Attributes:
        main: the key of ``values`` by which models are compared.
        values: every score by name, as a fraction.
        per_label: the counts behind the main score, label by label.
    """

    main: str
    values: dict[str, float]
    per_label: dict[str, PRF]

    @property
    def main_value(self) -> float:
        """The score by which models are compared."""
        return self.values[self.main]

    @property
    def support(self) -> int:
        """Number of gold items: tokens, spans, predicates or arguments."""
        return sum(counts.gold for counts in self.per_label.values())


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
