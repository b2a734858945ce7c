"""How each kind of annotation is scored."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar, assert_never

from seqmtl.data.kinds import Frames, PlainTags, Predicates, Spans
from seqmtl.data.rows import Row
from seqmtl.data.tasks import Task
from seqmtl.evaluation.accuracy import token_counts, token_scores
from seqmtl.evaluation.predicates import predicate_counts, predicate_scores
from seqmtl.evaluation.predictions import Prediction
from seqmtl.evaluation.scores import TaskScore
from seqmtl.evaluation.spans import span_counts, span_scores
from seqmtl.evaluation.srl import frame_counts, frame_scores
from seqmtl.evaluation.tally import Counts
from seqmtl.labels import Frame, Scheme

END_TO_END = "srl_f1_end_to_end"

Pairs: TypeAlias = Sequence[tuple[Row, Prediction]]
Said = TypeVar("Said")


@dataclass(frozen=True)
class Scorer(ABC, Generic[Said]):
    """Sets what a model says of some rows against what they say themselves; the rows carry the task's layer.

    Attributes:
        task: the task that is scored.
    """

    task: Task

    @abstractmethod
    def gold(self, row: Row) -> Said:
        """What the row says."""

    @abstractmethod
    def guesses(self, prediction: Prediction) -> Mapping[str, Said]:
        """What the model says for each task of this kind, in the form of ``gold``."""

    @abstractmethod
    def score(self, pairs: Pairs) -> TaskScore:
        """The score over all rows."""

    @abstractmethod
    def counts(self, pairs: Pairs) -> Counts:
        """(correct, predicted, gold) of each row, ``[n, 3]``."""

    def agrees(self, row: Row, prediction: Prediction) -> bool:
        """Whether the model says what the row says."""
        return self.gold(row) == self.guess(prediction)

    def guess(self, prediction: Prediction) -> Said:
        """What the model says for the task."""
        return self.guesses(prediction)[self.task.name]

    def covers(self, prediction: Prediction) -> bool:
        """Whether the model says anything for the task."""
        return self.task.name in self.guesses(prediction)

    def sides(self, pairs: Pairs) -> tuple[list[Said], list[Said]]:
        """What the rows say, and what the model says."""
        return [self.gold(row) for row, _ in pairs], [self.guess(prediction) for _, prediction in pairs]


class TagScorer(Scorer[list[str]]):
    """Plain tags: accuracy."""

    def gold(self, row: Row) -> list[str]:
        """The tags."""
        return list(row[self.task.spec.layer])

    def guesses(self, prediction: Prediction) -> Mapping[str, list[str]]:
        """The predicted tags."""
        return prediction.tags

    def score(self, pairs: Pairs) -> TaskScore:
        """Accuracy, and F1 per label."""
        return token_scores(*self.sides(pairs))

    def counts(self, pairs: Pairs) -> Counts:
        """Words."""
        return token_counts(*self.sides(pairs))


class SpanScorer(TagScorer):
    """Spans: F1. Rows and predictions are BIO, whatever the scheme inside the model."""

    def score(self, pairs: Pairs) -> TaskScore:
        """conlleval-like and strict F1."""
        return span_scores(*self.sides(pairs), scheme=Scheme.BIO)

    def counts(self, pairs: Pairs) -> Counts:
        """Spans."""
        return span_counts(*self.sides(pairs), scheme=Scheme.BIO)


class PredicateScorer(Scorer[list[int]]):
    """Predicate words: F1."""

    def gold(self, row: Row) -> list[int]:
        """The words that are predicates, ascending."""
        return sorted({frame["predicate"] for frame in row[self.task.spec.layer]})

    def guesses(self, prediction: Prediction) -> Mapping[str, list[int]]:
        """The words that were found."""
        return prediction.predicates

    def score(self, pairs: Pairs) -> TaskScore:
        """F1."""
        return predicate_scores(*self.sides(pairs))

    def counts(self, pairs: Pairs) -> Counts:
        """Predicates."""
        return predicate_counts(*self.sides(pairs))


class FrameScorer(Scorer[list[Frame]]):
    """Roles: the official CoNLL-2005 F1 on gold predicates, beside that on the predicates that the model finds."""

    def gold(self, row: Row) -> list[Frame]:
        """The frames."""
        return [Frame.from_row(frame) for frame in row[self.task.spec.layer]]

    def guesses(self, prediction: Prediction) -> Mapping[str, list[Frame]]:
        """The roles of the gold predicates."""
        return prediction.frames_of_gold

    def agrees(self, row: Row, prediction: Prediction) -> bool:
        """Whether the roles are right; senses are not predicted."""
        return [frame.tags for frame in self.gold(row)] == [frame.tags for frame in self.guess(prediction)]

    def score(self, pairs: Pairs) -> TaskScore:
        """Official F1; end-to-end F1 where the model finds predicates."""
        gold, guess = self.sides(pairs)
        given = frame_scores(gold, guess)
        values = {key: value for key, value in given.values.items() if key != END_TO_END}
        found = [prediction.found_frames.get(self.task.name) for _, prediction in pairs]
        end_to_end = [frames for frames in found if frames is not None]
        if len(end_to_end) == len(pairs):
            values[END_TO_END] = frame_scores(gold, end_to_end).values[END_TO_END]
        return TaskScore(given.main, values, given.per_label)

    def counts(self, pairs: Pairs) -> Counts:
        """Arguments of gold predicates."""
        return frame_counts(*self.sides(pairs))


AnyScorer: TypeAlias = TagScorer | SpanScorer | PredicateScorer | FrameScorer


def scorer_of(task: Task) -> AnyScorer:
    """The scorer for the kind of annotation that ``task`` learns."""
    match task.kind:
        case PlainTags():
            return TagScorer(task)
        case Spans():
            return SpanScorer(task)
        case Predicates():
            return PredicateScorer(task)
        case Frames():
            return FrameScorer(task)
        case _:
            assert_never(task.kind)
