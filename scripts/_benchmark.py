"""What every benchmark script shares: alternating timing, the machine, the table and the closing JSON line.

A figure is a ratio, theirs / ours: both sides run in turn in one process on the same inputs, so that whatever else the
machine does meets both, and the medians of several rounds are compared.
"""

import argparse
import json
import os
import platform
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self, TypeVar

import torch
from torch.profiler import ProfilerActivity, profile

from seqmtl.training.allocation import keep_freed_memory

Item = TypeVar("Item")

RESULTS = Path(__file__).parents[1] / "docs" / "results.md"


@dataclass(frozen=True)
class Figure:
    """Two medians in milliseconds, and the ratio that ours should reach.

    Attributes:
        ours_ms, theirs_ms: the medians.
        bar: 0: none, the figure is there to be read.
        paired: median of the ratios of single turns; None: the ratio is that of the medians.
    """

    ours_ms: float
    theirs_ms: float
    bar: float
    paired: float | None = None

    @classmethod
    def of_turns(cls, ours: Sequence[float], theirs: Sequence[float], *, bar: float) -> Self:
        """Of times that were taken turn by turn: a machine that is busy for a while changes few of their ratios."""
        paired = median(b / a for a, b in zip(ours, theirs, strict=True))
        return cls(median(ours), median(theirs), bar, paired)

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.theirs_ms / self.ours_ms if self.paired is None else self.paired

    @property
    def met(self) -> bool:
        """Whether the ratio reaches the bar."""
        return self.ratio >= self.bar


def set_up(arguments: argparse.Namespace) -> None:
    """Use the asked number of threads, and treat freed memory as training does."""
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], *, bar: float, rounds: int, warmup: int = 3
) -> Figure:
    """Time both sides in turn; the side that goes first changes from round to round."""
    times: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for turn in range(warmup + rounds):
        for side in (ours, theirs) if turn % 2 == 0 else (theirs, ours):
            began = time.perf_counter()
            side()
            if turn >= warmup:
                times[side].append((time.perf_counter() - began) * 1000)
    return Figure(median(times[ours]), median(times[theirs]), bar)


def take_turns(
    sides: Mapping[str, Callable[[Item], object]], items: Sequence[Item], *, rounds: int
) -> dict[str, list[float]]:
    """Milliseconds that each side took on each of ``items``, in ``rounds`` after one that does not count.

    On an item all sides run one after the other, each time in another random order.
    """
    shuffle = random.Random(1)
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(1 + rounds):
        for item in items:
            for name in shuffle.sample(list(sides), len(sides)):
                began = time.perf_counter()
                sides[name](item)
                if turn:
                    times[name].append((time.perf_counter() - began) * 1000)
    return times


def peak_mib(side: Callable[[], object]) -> float:
    """The most memory that ``side`` holds at once beyond what was there before, in MiB; it runs twice."""
    side()
    if torch.cuda.is_available():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        side()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that everything is allocated by this thread, which is the one that is watched
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        side()
    torch.set_num_threads(threads)
    held = peak = 0
    events = [event for event in profiled.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()  # pyright: ignore[reportAttributeAccessIssue]  # its stub lacks it
        peak = max(peak, held)
    return peak / 2**20


def options(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument("--quick", action="store_true", help="fewer rounds: within a minute on 2 cores")
    parser.add_argument("--markdown", action="store_true", help=f"write the table into {RESULTS.name} as well")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads for both sides (default: 2)")
    return parser


def machine() -> dict[str, str | int]:
    """Describe what the numbers were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def report(name: str, figures: Mapping[str, Figure], arguments: argparse.Namespace, *, results: Path = RESULTS) -> int:
    """Print the table, then the JSON line; return the exit code."""
    lines = _table(figures)
    print("\n".join(lines), end="\n\n")
    described = machine()
    if arguments.markdown:
        write_section(results, name, [*lines, "", ", ".join(f"{key}: {value}" for key, value in described.items())])
    rounded = {
        key: {
            "ratio": round(figure.ratio, 3),
            "ours_ms": round(figure.ours_ms, 3),
            "theirs_ms": round(figure.theirs_ms, 3),
            "bar": figure.bar,
        }
        for key, figure in figures.items()
    }
    print(json.dumps({"benchmark": name, "machine": described, "figures": rounded}), flush=True)
    return int(arguments.check and not all(figure.met for figure in figures.values()))


def _cpu() -> str:
    """The processor's name; Linux keeps it where ``platform`` does not look."""
    info = Path("/proc/cpuinfo")
    names = (
        [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
        if info.exists()
        else []
    )
    return names[0] if names else platform.processor() or platform.machine()


def _table(figures: Mapping[str, Figure]) -> list[str]:
    rows = [
        f"| {name} | {figure.ours_ms:.2f} | {figure.theirs_ms:.2f} "
        f"| {_shown(figure.ratio)} | {f'{figure.bar:.3g}' if figure.bar else ''} |"
        for name, figure in figures.items()
    ]
    return ["| figure | ours, ms | theirs, ms | ratio | bar |", "|---|--:|--:|--:|--:|", *rows]


def _shown(ratio: float) -> str:
    """With as many places as tell which side of a bar it is on."""
    return f"{ratio:.{3 if ratio < 2 else 2 if ratio < 10 else 1}f}"


def write_section(page: Path, name: str, lines: list[str]) -> None:
    """Put ``lines`` between the two comments that mark this benchmark in ``page``, at its end when it has none yet."""
    opening, closing = f"<!-- benchmark: {name} -->", f"<!-- end of benchmark: {name} -->"
    section = "\n".join([opening, *lines, closing])
    text = page.read_text(encoding="utf-8") if page.exists() else "# Results\n"
    before, found, rest = text.partition(opening)
    page.parent.mkdir(parents=True, exist_ok=True)
    if found:
        page.write_text(before + section + rest.partition(closing)[2], encoding="utf-8")
    else:
        page.write_text(f"{text.rstrip()}\n\n{section}\n", encoding="utf-8")
