"""The decoders of a run with pseudo-tasks, as a picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure  # without pyplot: no display is needed, and the user's backend stays
from matplotlib.lines import Line2D

from seqmtl.training.history import MetaIteration

PICTURE = "pseudo-tasks.png"
PANEL = (3.8, 1.9)  # in inches


def plot_meta_iterations(course: Sequence[MetaIteration], folder: Path) -> Path:
    """Draw the course of a run, which has at least one meta-iteration, into ``folder``."""
    path = folder / PICTURE
    decoder_course(course).savefig(path, dpi=120)
    return path


def decoder_course(course: Sequence[MetaIteration]) -> Figure:
    """A row of panels per task: cost of each decoder, a dot on the leader's; how far it is above that; dropout rate."""
    tasks, own_rates = list(course[0].costs), bool(course[0].rates)
    across, decoders = 2 + own_rates, len(course[0].costs[tasks[0]])
    figure = Figure(figsize=(PANEL[0] * across + 1.2, PANEL[1] * len(tasks) + 0.8), layout="constrained")
    grid = figure.subplots(len(tasks), across, sharex=True, squeeze=False)
    steps = [one.step for one in course]
    for task, panels in zip(tasks, grid, strict=True):
        costs = [one.costs[task] for one in course]
        _curves(panels[0], steps, costs, title=f"{task}: cost")
        _leaders(panels[0], course, task)
        above = [[cost - min(values) for cost in values] for values in costs]
        _curves(panels[1], steps, above, title=f"{task}: above the leader")
        if own_rates:
            _curves(panels[2], steps, [one.rates[task] for one in course], title=f"{task}: dropout rate")
    lines = [Line2D([], [], color=_colour(number), label=str(number + 1)) for number in range(decoders)]
    lines.append(Line2D([], [], color="black", marker="o", linestyle="", markersize=4, label="leads"))
    figure.legend(handles=lines, loc="outside right center", title="decoder", fontsize=8)
    figure.supxlabel("step", fontsize=9)
    return figure


def _curves(axes: Axes, steps: Sequence[int], values: Sequence[Sequence[float]], *, title: str) -> None:
    """A line per decoder."""
    for number, line in enumerate(zip(*values, strict=True)):
        axes.plot(steps, line, color=_colour(number), linewidth=1.0)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3)
    axes.tick_params(labelsize=8)


def _leaders(axes: Axes, course: Sequence[MetaIteration], task: str) -> None:
    """A dot for each meta-iteration, in the colour of the decoder that led."""
    least = [one.costs[task][one.leaders[task]] for one in course]
    colours = [_colour(one.leaders[task]) for one in course]
    axes.scatter([one.step for one in course], least, s=16, c=colours, zorder=3)


def _colour(number: int) -> str:
    return f"C{number % 10}"
