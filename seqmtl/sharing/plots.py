"""What a scheme has learned about its tasks, as pictures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no display is needed, and the user's backend stays
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D

from seqmtl.sharing.base import Coupling, Table
from seqmtl.sharing.coupling import ALPHA, BETA, kind_of_table, layer_tables, mixes_layers

Course = Sequence[tuple[int, Coupling]]  # steps of training, and what was shared then
Curves = Mapping[str, np.ndarray]

ANNOTATED = 12  # rows and columns, at most, of a table whose values are written into it
TICKS = 40  # names along an axis, at most
ACROSS = 3  # panels beside each other
FAR = 0.25  # of the largest value
DARK = 0.5  # a colour of less luminance needs white letters


def plot_coupling(coupling: Coupling, course: Course, folder: Path) -> list[Path]:
    """Draw a heat map of each table, bars of beta, and the course of both over training.

    Args:
        coupling: what was learned.
        course: of a run; with fewer than two steps, no course is drawn.
        folder: where the pictures go.

    Returns:
        The pictures, ``coupling-NAME.png``.
    """
    paths = []
    for name, figure in _figures(coupling, course):
        paths.append(folder / f"coupling-{re.sub(r'[^a-z0-9]+', '-', name)}.png")
        figure.savefig(paths[-1], dpi=120)
    return paths


def _figures(coupling: Coupling, course: Course) -> Iterator[tuple[str, Figure]]:
    for kind in dict.fromkeys(map(kind_of_table, coupling.tables)):
        tables = {name: table for name, table in coupling.tables.items() if kind_of_table(name) == kind}
        if mixes_layers(coupling, kind):
            yield kind, bars(tables[kind])
            if len(course) > 1:
                yield f"{kind}-course", beta_course(course)
        else:
            yield kind, heat_maps(tables)
            if len(course) > 1 and kind == ALPHA:
                yield f"{kind}-course", alpha_course(course)


def heat_maps(tables: Mapping[str, Table]) -> Figure:
    """A panel per table, all on one scale of colours; lines part the subspaces of different tasks.

    The scale is centred at 0, but for values that all lie far from it.
    """
    values = {name: _numbers(table) for name, table in tables.items()}
    largest = max(float(np.abs(matrix).max()) for matrix in values.values()) or 1.0
    least = min(float(matrix.min()) for matrix in values.values())
    colours, low = ("viridis", least) if least > FAR * largest else ("RdBu_r", -largest)
    rows, columns = next(iter(values.values())).shape
    small = max(rows, columns) <= ANNOTATED
    cell = 0.42 if small else 0.2
    panel = (max(2.2, cell * min(columns, TICKS)) + 1.0, max(1.6, cell * rows) + 1.1)
    figure, panels = _grid(len(tables), size=panel)
    image = None
    for axes, (name, table) in zip(panels, tables.items(), strict=True):
        image = axes.imshow(values[name], cmap=colours, vmin=low, vmax=largest, aspect="auto")
        axes.set_title(name, fontsize=10)
        _name_axis(axes.set_xticks, table.columns, rotation=90)
        _name_axis(axes.set_yticks, table.rows, rotation=0)
        for place in _borders(table.rows):
            axes.axhline(place, color="black", linewidth=0.8)
        for place in _borders(table.columns):
            axes.axvline(place, color="black", linewidth=0.8)
        if small:
            _annotate(axes, values[name], image)
    if kind_of_table(next(iter(tables))) == ALPHA:
        figure.supylabel("target: reads", fontsize=9)
        figure.supxlabel("source: is read", fontsize=9)
    figure.colorbar(image, ax=panels, shrink=0.8)  # type: ignore[arg-type]  # there is a table
    return figure


def bars(table: Table) -> Figure:
    """A panel per task: how much of each layer it reads."""
    figure, panels = _grid(len(table.rows), size=(2.6, 2.2))
    values = _numbers(table)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    room = 0.15 * (high - low) or 0.5  # for the values above and below the bars
    for axes, task, row in zip(panels, table.rows, values, strict=True):
        drawn = axes.bar(table.columns, row, color="tab:blue", width=0.6)
        axes.bar_label(drawn, [_shown(value) for value in row], fontsize=8, padding=1)
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set_title(task, fontsize=10)
        axes.set_ylim(low - room if low < 0.0 else low, high + room)
        axes.tick_params(labelsize=8)
    figure.suptitle("beta: what the head of each task reads", fontsize=10)
    return figure


def alpha_course(course: Course) -> Figure:
    """A row of panels per layer, one for each task that reads: the mean magnitude of alpha from each task, by step."""
    layers = [layer_tables(coupling, ALPHA) for _, coupling in course]
    names = list(dict.fromkeys(_task(row) for row in layers[0][0].rows))
    figure = Figure(figsize=(1.9 * len(names) + 1.6, 1.7 * len(layers[0]) + 0.8), layout="constrained")
    grid = figure.subplots(len(layers[0]), len(names), sharex=True, sharey=True, squeeze=False)
    steps = [step for step, _ in course]
    for number, panels in enumerate(grid):
        blocks = np.stack([block_magnitudes(tables[number]) for tables in layers])  # [steps, M, M]
        for target, axes in enumerate(panels):
            _curves(axes, steps, {name: blocks[:, target, source] for source, name in enumerate(names)}, own=target)
            if number == 0:
                axes.set_title(f"{names[target]} reads", fontsize=10)
        panels[0].set_ylabel(f"alpha {number + 1}", fontsize=9)
    _finish(figure, names, title="from")
    figure.suptitle("mean magnitude of alpha by step, broken lines: from the task itself", fontsize=10)
    return figure


def beta_course(course: Course) -> Figure:
    """A panel per layer: how much of it each task reads, by step."""
    tables = [coupling.tables[BETA] for _, coupling in course]
    figure, panels = _grid(len(tables[0].columns), size=(2.6, 2.2))
    values = np.stack([_numbers(table) for table in tables])  # [steps, M, K]
    for number, axes in enumerate(panels):
        curves = {task: values[:, place, number] for place, task in enumerate(tables[0].rows)}
        _curves(axes, [step for step, _ in course], curves, own=None)
        axes.set_title(tables[0].columns[number], fontsize=10)
    _finish(figure, tables[0].rows, title="task")
    figure.suptitle("beta by step", fontsize=10)
    return figure


def block_magnitudes(table: Table) -> np.ndarray:
    """The mean magnitude of each task-to-task block of an alpha, ``[M, M]``."""
    names = list(dict.fromkeys(map(_task, table.rows)))
    size = len(table.rows) // len(names)
    blocks = np.abs(_numbers(table)).reshape(len(names), size, len(names), size)
    return blocks.mean(axis=(1, 3))


def _grid(panels: int, *, size: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """A figure with as many panels, each of ``size`` in inches."""
    across = min(ACROSS, panels)
    down = -(-panels // across)
    figure = Figure(figsize=(size[0] * across + 1.0, size[1] * down + 0.5), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for spare in grid[panels:]:
        spare.remove()
    return figure, list(grid[:panels])


def _annotate(axes: Axes, values: np.ndarray, image: AxesImage) -> None:
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = image.cmap(image.norm(value))
        color = "white" if 0.3 * red + 0.6 * green + 0.1 * blue < DARK else "black"
        axes.text(column, row, _shown(value), ha="center", va="center", fontsize=7, color=color)


def _name_axis(set_ticks: Any, names: Sequence[str], *, rotation: int) -> None:
    every = -(-len(names) // TICKS)
    set_ticks(range(0, len(names), every), names[::every], fontsize=8, rotation=rotation)


def _borders(names: Sequence[str]) -> list[float]:
    """Where the subspaces of one task end and those of another begin; none without subspaces."""
    tasks = list(map(_task, names))
    if len(set(tasks)) == len(tasks):
        return []
    return [place - 0.5 for place in range(1, len(tasks)) if tasks[place] != tasks[place - 1]]


def _curves(axes: Axes, steps: Sequence[int], curves: Curves, *, own: int | None) -> None:
    """A line per name, of the colour that it has in all panels; the one numbered ``own`` is broken."""
    for number, (name, values) in enumerate(curves.items()):
        style = "--" if number == own else "-"
        axes.plot(steps, values, style, label=name, color=f"C{number % 10}", linewidth=1.3)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)


def _finish(figure: Figure, names: Sequence[str], *, title: str) -> None:
    """One legend beside all panels."""
    lines = [Line2D([], [], color=f"C{number % 10}", label=name) for number, name in enumerate(names)]
    figure.legend(handles=lines, loc="outside right center", title=title, fontsize=8)
    figure.supxlabel("step", fontsize=9)


def _shown(value: float) -> str:
    """A value in a picture; what is exactly 0, as where an alpha was pruned, is a dot."""
    return f"{value:z.2f}" if value else "·"


def _task(name: str) -> str:
    """The task of a row, whose subspace stands behind a dot."""
    return name.partition(".")[0]


def _numbers(table: Table) -> np.ndarray:
    return table.values.detach().float().cpu().numpy()
