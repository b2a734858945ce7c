"""Predictions and gold rows in the terms of documents, for people to read."""

from collections.abc import Iterator, Mapping, Sequence

from seqmtl.data.tasks import Row, Task
from seqmtl.documents import Annotation
from seqmtl.evaluation.predictions import Prediction
from seqmtl.labels import Frame

Tasks = Mapping[str, Task]


def predicted_annotation(tasks: Tasks, prediction: Prediction, *, n_words: int) -> Annotation:
    """What a model says about raw text; predicates that have frames have no layer of their own."""
    frames = {name: tuple(found) for name, found in prediction.found_frames.items()}
    in_frames = {tasks[name].spec.predicates for name in frames}
    for name, words in prediction.predicates.items():
        if name not in in_frames:  # predicates without roles are frames without arguments
            frames[name] = tuple(_bare_frame(word, n_words) for word in words)
    return _annotation(tasks, prediction.tags, frames)


def errors(
    tasks: Tasks, rows: Sequence[Row], predictions: Sequence[Prediction]
) -> Iterator[tuple[Row, Annotation, Annotation]]:
    """The rows on which a model is wrong, each with its gold and its predicted annotation, of the layers it carries.

    Frames are those of the gold predicates, so that a pair of frames differs in arguments only.
    """
    for row, prediction in zip(rows, predictions, strict=True):
        carried = {name: task for name, task in tasks.items() if row.get(task.spec.layer) is not None}
        gold_tags = {name: row[carried[name].spec.layer] for name in prediction.tags if name in carried}
        gold_frames = {
            name: tuple(Frame.from_row(frame) for frame in row[carried[name].spec.layer])
            for name in prediction.frames
            if name in carried
        }
        tags = {name: prediction.tags[name] for name in gold_tags}
        frames = {name: tuple(prediction.frames[name]) for name in gold_frames}
        wrong = any(list(tags[name]) != list(gold_tags[name]) for name in tags) or any(
            [frame.tags for frame in frames[name]] != [frame.tags for frame in gold_frames[name]] for name in frames
        )
        if wrong:
            yield row, _annotation(tasks, gold_tags, gold_frames), _annotation(tasks, tags, frames)


def _annotation(tasks: Tasks, tags: Mapping[str, Sequence[str]], frames: Mapping[str, tuple[Frame, ...]]) -> Annotation:
    spans = {name for name in tags if tasks[name].scheme is not None}
    return Annotation(
        tags={name: tuple(values) for name, values in tags.items() if name not in spans},
        span_tags={name: tuple(values) for name, values in tags.items() if name in spans},
        frames=dict(frames),
    )


def _bare_frame(word: int, n_words: int) -> Frame:
    """A predicate without arguments."""
    return Frame(predicate=word, sense="", tags=tuple("B-V" if t == word else "O" for t in range(n_words)))
