"""The rows on which the decoders of a task are compared."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seqmtl.data.rows import Row
from seqmtl.data.source import ListSource, Source
from seqmtl.data.tasks import Task
from seqmtl.errors import ConfigError
from seqmtl.specs.recipe import RecipeSpec

Rows = Mapping[str, list[Row]]


@dataclass(frozen=True)
class ControlSplit:
    """Training rows, without those that were set aside.

    Attributes:
        train: where training rows come from, per corpus.
        control: rows on which decoders are compared, per corpus; each carries a task that has several.
    """

    train: Mapping[str, Source]
    control: Rows


def split_control(recipe: RecipeSpec, tasks: Sequence[Task], *, train: Mapping[str, Source], dev: Rows) -> ControlSplit:
    """Set control rows aside as ``recipe.pseudo_tasks`` asks; none without it.

    Which rows depends on the seed of the recipe alone: one decoder learns from the same rows as several, so that the
    two can be compared.

    Raises:
        ConfigError: when no control row carries some task whose decoders are to be compared.
    """
    spec = recipe.pseudo_tasks
    if spec is None:
        return ControlSplit(train, {})
    chosen = [task for task in tasks if task.name in spec.chosen(tuple(recipe.tasks))]
    if spec.control == "dev":
        split = ControlSplit(train, _named(dev, chosen))
    else:
        split = _set_aside(train, chosen, share=spec.control, seed=recipe.training.seed)
    _check(split, chosen, control=spec.control)
    return split


def _set_aside(train: Mapping[str, Source], tasks: Sequence[Task], *, share: float, seed: int) -> ControlSplit:
    """A share of the rows of each corpus in memory that carry one of ``tasks``; a stream cannot be divided."""
    left, control = dict(train), {}
    for number, (name, source) in enumerate(train.items()):
        if not isinstance(source, ListSource):
            continue
        carriers = [position for position, row in enumerate(source.rows) if _carried(row, tasks, corpus=name)]
        drawn = np.random.default_rng((seed, number)).permutation(len(carriers))[: round(share * len(carriers))]
        taken = {carriers[number] for number in drawn}
        if taken:
            left[name] = ListSource([row for position, row in enumerate(source.rows) if position not in taken])
            control[name] = [source.rows[position] for position in sorted(taken)]
    return ControlSplit(left, control)


def _check(split: ControlSplit, tasks: Sequence[Task], *, control: float | str) -> None:
    streamed = [name for name, source in split.train.items() if source.size is None]
    for task in tasks:
        if any(task.carried_by(row, corpus=name) for name, rows in split.control.items() for row in rows):
            continue
        missing = f"carries {task.spec.layer!r}, so the decoders of task {task.name!r} cannot be compared"
        if control == "dev":
            raise ConfigError(
                f"pseudo_tasks.control: no dev row of a corpus that is evaluated {missing}; set it to a share of the "
                "training rows, such as 0.1, or leave the task out of pseudo_tasks.tasks"
            )
        stream = f" and the stream {streamed[0]!r} cannot be divided;" if streamed else " raise it, or"
        raise ConfigError(
            f"pseudo_tasks.control: none of the rows that {control:g} of the training rows sets aside {missing};"
            f"{stream} set it to 'dev', or leave the task out of pseudo_tasks.tasks"
        )


def _named(rows: Rows, tasks: Sequence[Task]) -> Rows:
    kept = {name: [row for row in found if _carried(row, tasks, corpus=name)] for name, found in rows.items()}
    return {name: found for name, found in kept.items() if found}


def _carried(row: Row, tasks: Iterable[Task], *, corpus: str) -> bool:
    return any(task.carried_by(row, corpus=corpus) for task in tasks)
