"""What sluice networks learn to read from an auxiliary task that is a copy of the main task, or noise.

    python scripts/reproduce_sluice_copy_random.py                # 8 seeds of both, a few minutes
    python scripts/reproduce_sluice_copy_random.py --markdown     # into docs/results.md, with the picture, as well

The main task is part of speech on 150 sentences of the embedded corpus. The auxiliary task has the same labels (copy),
or the same labels shuffled once over all words of the training split (random). What is looked at is the share of the
auxiliary tower in the magnitudes of alpha that the slices of the main task read with, after each layer. With the copy
it should stay where it starts, with random labels it should fall (Ruder et al. 2019; SL8 of METHODS.md).

Alpha starts balanced, a half from either tower. That alone does not tell a tower of the main task from one of the
auxiliary task: rename two towers that were drawn alike and are mixed half and half, and nothing has changed, but for
the little that beta lets heads read below the last layer. So the share may as well rise as fall, whatever the labels,
as the towers of a layer happen to divide the work. Therefore

- the towers first learn their own tasks alone (``independent``), as the towers of cross-stitch networks do (Misra et
  al. 2016); then they start a sluice network, under ``training.start_from``;
- heads start anew then, because one that has learned with its own tower only would prefer that one, copy or not.
  The second layers do not start anew and may prefer their own tower, whatever the labels: the last alpha, through which
  the heads read, is the fair test, and that after the first layer is shown beside it;
- there is no dropout, so that random labels can be learned by heart, and there are few sentences.

Seeds are those of all weights, of batches and of the shuffle; copy and random are paired by seed. The p-value is that
of all changes of signs of the differences, two sides: it cannot be below 2 / 2 ** seeds.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from _benchmark import RESULTS, machine
from _experiment import run_script, write_results
from accelerate import Accelerator
from datasets import Dataset
from matplotlib.figure import Figure  # without pyplot: no display is needed
from rich.console import Console
from transformers.utils import logging

from seqmtl import Corpus, RecipeSpec
from seqmtl.data.toy import generate
from seqmtl.sharing.base import Coupling
from seqmtl.sharing.coupling import ALPHA, layer_tables
from seqmtl.training.history import HISTORY, read_couplings
from seqmtl.training.loop import train
from seqmtl.training.setup import prepare

NAME = "sluice_copy_random"
LAYER, MAIN, AUXILIARY = "upos", "main", "auxiliary"
COPY, RANDOM = "copy", "random"
TOWER = {"kind": "bilstm", "layers": 2, "width": 32, "dropout": 0.0}
SLUICE = {"kind": "sluice", "tower": TOWER, "subspaces": 2, "alpha": "balanced"}
LOG_EVERY = 10  # steps between looks at alpha
PICTURE = RESULTS.parent / "images" / f"{NAME}.png"


@dataclass(frozen=True)
class Run:
    """What one sluice network has learned.

    Attributes:
        course: by step, the auxiliary's share in alpha after each layer.
        accuracy: of the main task on dev, in percent.
    """

    course: Mapping[int, Sequence[float]]
    accuracy: float

    @property
    def shares(self) -> Sequence[float]:
        """The auxiliary's share at the end, after each layer."""
        return self.course[max(self.course)]


def run(labels: str, out: Path, *, seed: int, rows: int, epochs: int) -> Run:
    """Train two towers alone, then together, each ``epochs`` long; ``labels`` are those of the auxiliary task."""
    corpus = make_corpus(labels, seed=seed, rows=rows)
    alone = {"kind": "independent", "tower": TOWER}
    fit(recipe(alone, seed=seed, epochs=epochs), corpus, out / "alone")
    fit(recipe(SLUICE, seed=seed, epochs=epochs, start_from=str(out / "alone")), corpus, out / "sluice")
    course = {step: auxiliary_shares(coupling) for step, coupling in read_couplings(out / "sluice")}
    events = [json.loads(line) for line in (out / "sluice" / HISTORY).read_text(encoding="utf-8").splitlines()]
    (accuracy,) = [event["scores"][MAIN] for event in events if event["kind"] == "dev"]
    return Run(course, 100 * accuracy)


def make_corpus(labels: str, *, seed: int, rows: int) -> Corpus:
    """The embedded corpus with both tasks in train; only the main task is scored on dev."""
    found: list[dict[str, Any]] = generate("train", n=rows)
    tags = [tag for row in found for tag in row[LAYER]]
    if labels == RANDOM:
        random.Random(seed).shuffle(tags)
    rest = iter(tags)
    made = [{**plain(row), AUXILIARY: [next(rest) for _ in row["tokens"]]} for row in found]
    dev = [plain(row) for row in generate("dev", n=100)]
    return Corpus("toy", {"train": Dataset.from_list(made), "dev": Dataset.from_list(dev)}, layers=(MAIN, AUXILIARY))


def plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the embedded corpus with the main task only."""
    return {"id": row["id"], "tokens": row["tokens"], MAIN: row[LAYER]}


def recipe(sharing: Mapping[str, Any], *, seed: int, epochs: int, start_from: str | None = None) -> RecipeSpec:
    """Words without characters, so that the task is not too easy, and two towers."""
    return RecipeSpec.parse(
        {
            "name": NAME,
            "tasks": {
                task: {"layer": task, "head": {"kind": "softmax"}, "unseen_labels": "allow"}
                for task in (MAIN, AUXILIARY)
            },
            "encoder": {
                "kind": "bilstm",
                "layers": 0,
                "word_dim": 64,
                "word_dropout": 0.0,
                "dropout": 0.0,
                "characters": None,
            },
            "sharing": sharing,
            "mixture": {"tokens_per_batch": 200},
            "training": {
                "epochs": epochs,
                "evaluate_every": epochs,
                "seed": seed,
                "precision": "fp32",
                "learning_rates": {"encoder": 3e-3, "sharing": 3e-3, "heads": 3e-3},
                "log_coupling_every": LOG_EVERY,
                "start_from": start_from,
            },
        },
        source=NAME,
    )


def fit(spec: RecipeSpec, corpus: Corpus, out: Path) -> None:
    """Train into ``out``, with new heads."""
    out.mkdir(parents=True, exist_ok=True)
    prepared = prepare(spec, folder=Path(), datasets={"toy": corpus})
    for module in prepared.model.heads.modules():
        if isinstance(module, torch.nn.Linear):
            module.reset_parameters()
    train(prepared, out, console=Console(quiet=True), accelerator=Accelerator(cpu=True))


def auxiliary_shares(coupling: Coupling) -> list[float]:
    """Of the magnitudes with which the main task's slices read, the part on the auxiliary's slices; by layer."""
    shares = []
    for table in layer_tables(coupling, ALPHA):
        rows = torch.tensor([name.split(".")[0] == MAIN for name in table.rows])
        columns = torch.tensor([name.split(".")[0] == AUXILIARY for name in table.columns])
        read = table.values[rows].abs()
        shares.append(float(read[:, columns].sum() / read.sum()))
    return shares


def columns_of(runs: Sequence[Run]) -> dict[str, list[float]]:
    """What is compared, each a number per seed, in percent."""
    layers = {
        f"alpha {number}": [100 * share for share in shares]
        for number, shares in enumerate(zip(*(one.shares for one in runs), strict=True), start=1)
    }
    return {
        **layers,
        "mean alpha": [100 * mean(one.shares) for one in runs],
        "main accuracy": [one.accuracy for one in runs],
    }


def p_value(differences: Sequence[float]) -> float:
    """Of all ways to change signs, the part whose sum is as far from 0 as the one that was found."""
    sums = [
        abs(sum(s * d for s, d in zip(signs, differences, strict=True)))
        for signs in product((1, -1), repeat=len(differences))
    ]
    return mean(total >= abs(sum(differences)) - 1e-9 for total in sums)


def table(columns: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """Copy, random, and their difference in Markdown."""
    names = list(columns[COPY])
    lines = [f"| auxiliary labels | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    for labels, values in columns.items():
        lines.append(f"| {labels} | {' | '.join(spread(values[name]) for name in names)} |")
    gaps = {name: paired(columns, name) for name in names}
    lines.append(f"| copy - random | {' | '.join(spread(gap) for gap in gaps.values())} |")
    lines.append(f"| p | {' | '.join(f'{p_value(gap):.3f}' for gap in gaps.values())} |")
    return lines


def paired(columns: Mapping[str, Mapping[str, Sequence[float]]], name: str) -> list[float]:
    """Copy minus random by seed."""
    return [copy - noise for copy, noise in zip(columns[COPY][name], columns[RANDOM][name], strict=True)]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.1f} ± {stdev(values) if len(values) > 1 else 0.0:.1f}"


def picture(runs: Mapping[str, Sequence[Run]]) -> Figure:
    """The course of the auxiliary's share after each layer and of their mean: mean and standard deviation of seeds."""
    layers = len(runs[COPY][0].shares)
    figure = Figure(figsize=(3.2 * (layers + 1), 3.0), layout="constrained")
    panels = figure.subplots(1, layers + 1, sharey=True)
    steps = sorted(set.intersection(*(set(one.course) for of in runs.values() for one in of)))
    for labels, of in runs.items():
        values = 100 * np.array([[one.course[step] for step in steps] for one in of])  # [seeds, steps, layers]
        values = np.concatenate([values, values.mean(axis=2, keepdims=True)], axis=2)
        middle, around = values.mean(axis=0), values.std(axis=0, ddof=min(1, len(of) - 1))
        for number, axes in enumerate(panels):
            axes.plot(steps, middle[:, number], label=labels)
            low, high = middle[:, number] - around[:, number], middle[:, number] + around[:, number]
            axes.fill_between(steps, low, high, alpha=0.2)
    for number, axes in enumerate(panels):
        axes.set_title(f"alpha {number + 1}" if number < layers else "mean", fontsize=10)
        axes.set(xlabel="step", ylim=(0, 75))
        axes.axhline(50, color="black", linewidth=0.6, linestyle="--")
        axes.grid(alpha=0.3)
    panels[0].set_ylabel("auxiliary's share, %")
    panels[0].legend(loc="lower left", title="auxiliary labels")
    return figure


def main() -> None:
    """Do all runs; print the table, then the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8, help="how many: 1, 2, ... (default: 8)")
    parser.add_argument("--rows", type=int, default=150, help="training sentences (default: 150)")
    parser.add_argument("--epochs", type=int, default=20, help="alone, and as many together (default: 20)")
    parser.add_argument("--out", type=Path, default=Path("runs") / NAME, help="a folder per run, and the picture")
    parser.add_argument("--markdown", action="store_true", help=f"write table and picture for {RESULTS.name} as well")
    arguments = parser.parse_args()
    if min(arguments.seeds, arguments.rows, arguments.epochs) < 1:
        parser.error("--seeds, --rows and --epochs must be at least 1")
    logging.disable_progress_bar()
    runs: dict[str, list[Run]] = {COPY: [], RANDOM: []}
    for seed in range(1, arguments.seeds + 1):
        for labels, done in runs.items():
            folder = arguments.out / labels / f"seed_{seed}"
            done.append(run(labels, folder, seed=seed, rows=arguments.rows, epochs=arguments.epochs))
            shares = ", ".join(f"{100 * share:.1f}" for share in done[-1].shares)
            print(f"{folder}: share {shares}; main accuracy {done[-1].accuracy:.1f}", file=sys.stderr, flush=True)
    columns = {labels: columns_of(done) for labels, done in runs.items()}
    described = machine()
    lines = [*table(columns), "", note(arguments.seeds, rows=arguments.rows)]
    print("\n".join(lines), end="\n\n")
    figure = picture(runs)
    figure.savefig(arguments.out / PICTURE.name, dpi=100)
    if arguments.markdown:
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(PICTURE, dpi=100)
        shown = f"![The auxiliary's share by step](images/{PICTURE.name})"
        write_results(NAME, [*lines, "", shown], described=described)
    gaps = {name: paired(columns, name) for name in columns[COPY]}
    tested = {name: {"difference": mean(gap), "p": p_value(gap)} for name, gap in gaps.items()}
    print(json.dumps({"benchmark": NAME, "machine": described, "columns": columns, "copy_minus_random": tested}))


def note(seeds: int, *, rows: int) -> str:
    """What the table shows, in words."""
    return (
        "Share of the auxiliary tower in the magnitudes of alpha that the main task reads with, in percent, at the "
        f"end; it starts at 50. Accuracy of the main task, {LAYER}, on dev. "
        f"Mean ± standard deviation of {seeds} seed{'s' if seeds > 1 else ''}, {rows} training sentences. "
        "Towers first learn their own tasks alone. p: paired by seed, all changes of signs, two sides."
    )


if __name__ == "__main__":
    run_script(main)
