"""The command line: train, evaluate, predict, demo, inspect, prune, push."""

import json
import os
import sys
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqmtl.errors import ConfigError, DataError, SeqMTLError

if TYPE_CHECKING:
    from seqmtl.modeling import SeqMTLModel
    from seqmtl.sharing.base import Coupling
    from seqmtl.training import Evaluation
    from seqmtl.training.history import MetaIteration

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Train one model for several layers of annotation, evaluate it, and tag raw text with it.",
)

OUT = "Run folder; default: runs/NAME. A former run there is removed, unless it is resumed."
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the recipe; repeatable.")
]
EnsembleOption = Annotated[
    bool, typer.Option("--ensemble", help="By all decoders of a task together, where the run kept them.")
]
Device = Annotated[str, typer.Option(help="Where the model runs: cpu, cuda, cuda:1, mps.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run: a checkpoint.")]
Model = Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, or NAME/MODEL on the hub.")]


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path | None, typer.Option(help=OUT)] = None,
    overrides: Overrides = [],  # noqa: B006 - typer reads the default and never changes it
    resume: Annotated[
        Literal["auto"] | None, typer.Option(help="Go on from the newest state in the run folder, if there is one.")
    ] = None,
) -> None:
    """Train a recipe; the run folder is the checkpoint."""
    from seqmtl.specs.recipe import load_recipe
    from seqmtl.training import train_recipe

    console = Console()
    spec, folder = load_recipe(recipe, overrides=overrides)
    out = out or Path("runs") / spec.name
    train_recipe(spec, out, folder=folder, console=console, resume=resume == "auto")
    console.print(f"checkpoint, history and curves: {out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    run: Model,
    corpus: Annotated[str | None, typer.Option(help="A corpus of the run's recipe; default: all it scores.")] = None,
    split: Annotated[str, typer.Option(help="Which split.")] = "test",
    labels: Annotated[bool, typer.Option(help="A table per task and label, too.")] = True,
    output: Annotated[Path | None, typer.Option("--json", help="Write the scores here.")] = None,
    compare: Annotated[
        str | None, typer.Option(metavar="RUN", help="Another run on the same sentences: paired bootstrap.")
    ] = None,
    errors: Annotated[int, typer.Option(min=0, help="Show the first n sentences with a mistake, beside gold.")] = 0,
    ensemble: EnsembleOption = False,
    device: Device = "cpu",
    overrides: Overrides = [],  # noqa: B006 - as above
) -> None:
    """Score a checkpoint, corpus by corpus: tables per task and label, its mistakes, p-values against another run."""
    from seqmtl.evaluation import comparison_table, label_table, score_table, scores_to_json
    from seqmtl.evaluation.ensemble import Ensemble
    from seqmtl.training import compare_evaluations, evaluate_checkpoint

    console = Console()
    if output is not None:
        _check_writable(output)  # now rather than after all the work
    scored = partial(
        evaluate_checkpoint, corpus=corpus, split=split, overrides=overrides, device=device, console=console
    )
    ours = scored(run, reader=Ensemble if ensemble else None)
    theirs = {} if compare is None else scored(compare)
    if compare is not None and not set(ours) & set(theirs):
        raise ConfigError(f"{run} and {compare} share no corpus: {', '.join(ours)} and {', '.join(theirs)}")
    written: dict[str, Any] = {"run": run, "split": split, "corpora": {}}
    for name, evaluation in ours.items():
        console.print(score_table(evaluation.scores, title=f"{run}, {name} {split}"))
        written["corpora"][name] = {"scores": scores_to_json(evaluation.scores)}
        if labels:
            for task, score in evaluation.scores.items():
                console.print(label_table(task, score))
        if errors:
            _show_errors(console, evaluation, errors)
        if name in theirs:
            table = compare_evaluations(evaluation, theirs[name])
            console.print(comparison_table(table, title=f"{run} against {compare}, {name} {split}"))
            differences = {task: asdict(comparison) for task, comparison in table.items()}
            written["corpora"][name]["comparison"] = {"against": compare, "tasks": differences}
    if output is not None:
        output.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@app.command()
def predict(
    run: Model,
    texts: Annotated[list[str], typer.Argument(help="Raw texts; none: lines of the standard input.")] = [],  # noqa: B006
    file: Annotated[Path | None, typer.Option(help="Tag this text file instead.")] = None,
    form: Annotated[
        Literal["view", "json", "columns", "html", "brat"], typer.Option("--format", help="How to show it.")
    ] = "view",
    out: Annotated[
        Path | None, typer.Option(help="html: the file; brat: the folder, with a .txt and an .ann file for each text.")
    ] = None,
    ensemble: EnsembleOption = False,
    device: Device = "cpu",
) -> None:
    """Tag raw text with every layer of a checkpoint."""
    from seqmtl.documents import document_view, documents_page, to_brat, to_columns, to_json_line
    from seqmtl.evaluation.ensemble import Ensemble
    from seqmtl.tagger import Tagger
    from seqmtl.training.run import check_device

    check_device(device)
    _check_out(form, out)

    if file is not None:
        texts = [_read(file)]
    elif not texts:
        texts = [line.rstrip("\n") for line in sys.stdin]
    tagger = Tagger.from_pretrained(run, reader=Ensemble if ensemble else None, device=device)
    console = Console()
    documents = tagger.tag(texts)
    if form == "html":
        _write(out, documents_page(documents, word_layers=tagger.word_layers))
    for number, document in enumerate(documents, start=1):
        match form:
            case "view":
                console.print(document_view(document, word_layers=tagger.word_layers))
            case "json":
                typer.echo(to_json_line(document))
            case "columns":
                typer.echo(to_columns(document, document_id=str(number)), nl=False)
            case "brat":
                assert out is not None, "checked above"
                _write(out / f"{number}.txt", document.text)
                _write(out / f"{number}.ann", to_brat(document))


@app.command()
def demo(
    run: Model,
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: for everybody who can reach it.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0: any that is free.")] = 8000,
    device: Device = "cpu",
) -> None:
    """Serve a web page on this machine: type a text, see every layer of it."""
    from seqmtl.training.run import check_device

    try:
        from seqmtl.demo import serve_demo
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in ("starlette", "uvicorn"):
            raise
        raise ConfigError(f"seqmtl demo: {library} is not installed; pip install 'seqmtl[demo]'") from None

    def announce(address: str) -> None:
        Console().print(f"{run}: {address} (Ctrl-C ends it)", markup=False, highlight=False, soft_wrap=True)

    check_device(device)
    serve_demo(run, host=host, port=port, device=device, announce=announce)


@app.command()
def inspect(
    run: Model,
    folder: Annotated[
        Path | None, typer.Argument(help="Where --plot puts its pictures; default: RUN, or here.")
    ] = None,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw what tasks share, and its course; how decoders did.")
    ] = False,
    output: Annotated[Path | None, typer.Option("--json", help="Write the numbers of what they share here.")] = None,
    text: Annotated[
        str | None,
        typer.Option(help="Show instead how large the weights are that are generated at each word of this."),
    ] = None,
) -> None:
    """Show a checkpoint: its parts with their sizes, its tasks with their labels, what tasks share, its decoders."""
    from seqmtl.checkpoints import load_checkpoint
    from seqmtl.hub import fetch
    from seqmtl.sharing.coupling import coupling_to_json
    from seqmtl.training.history import read_meta_iterations
    from seqmtl.training.report import coupling_tables, decoders_table
    from seqmtl.training.word_coupling import word_coupling

    if folder is not None and not plot:
        raise ConfigError(f"{folder}: is for pictures; did you mean --plot {folder}?")
    console = Console()
    model, indexer = load_checkpoint(run)
    kind = model.config.sharing_spec.kind
    coupling = model.sharing.coupling() if text is None else word_coupling(model, indexer, text)
    course = read_meta_iterations(fetch(run)) if text is None else []
    if plot and not coupling.tables and not course:
        raise ConfigError(f"--plot: sharing of kind {kind!r} learns nothing about its tasks that could be drawn")
    if output is not None:
        _check_writable(output)
        written = {"run": run, "sharing": kind, "tables": coupling_to_json(coupling)}
        output.write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")
    pictures = _draw(fetch(run), coupling, course, folder or _here(run)) if plot else []
    _show_parts(console, model, title=f"{run}: {model.num_parameters():,} parameters")
    for table in coupling_tables(coupling, width=console.width):
        console.print(table)
    if course:
        console.print(decoders_table(course))
    for picture in pictures:
        console.print(str(picture), markup=False, highlight=False, soft_wrap=True)


def _here(run: str) -> Path:
    """The folder of a run; for a model on the hub the current one."""
    return Path(run) if Path(run).is_dir() else Path()


def _draw(run: Path, coupling: "Coupling", course: list["MetaIteration"], folder: Path) -> list[Path]:
    """Draw what the tasks of a run share, and how their decoders did, into ``folder``."""
    from seqmtl.sharing.plots import plot_coupling
    from seqmtl.training.folder import make_folder
    from seqmtl.training.history import read_couplings
    from seqmtl.training.pseudo_task_plots import plot_meta_iterations

    make_folder(folder)
    pictures = plot_coupling(coupling, read_couplings(run), folder)
    return [*pictures, plot_meta_iterations(course, folder)] if course else pictures


def _show_parts(console: Console, model: "SeqMTLModel", *, title: str) -> None:
    """Print the parts of a model with their sizes, and its tasks with their labels."""
    parts = Table("part", "class", title=Text(title))
    parts.add_column("parameters", justify="right")
    modules = {"encoder": model.encoder, "sharing": model.sharing, **{f"heads.{n}": h for n, h in model.heads.items()}}
    for name, module in modules.items():
        parts.add_row(name, type(module).__name__, f"{sum(p.numel() for p in module.parameters()):,}")
    console.print(parts)
    tasks = Table("task", "layer", "head", "labels", title="tasks")
    for name, task in model.tasks.items():
        labels = Text(" ".join(task.labels.labels))  # Text: rich would read the label "[x]" as markup
        decoders = model.head(name).decoders
        several = f", {decoders} decoders, best: {model.best_decoder(name) + 1}" if decoders > 1 else ""
        tasks.add_row(name, task.spec.layer, task.spec.head.kind + several, labels)
    console.print(tasks)


@app.command()
def prune(
    run: RunFolder,
    threshold: Annotated[float, typer.Option(min=0.0, help="Alphas of a smaller magnitude are removed.")],
    out: Annotated[Path, typer.Option(help="Folder of the pruned checkpoint.")],
    split: Annotated[str, typer.Option(help="Which split is scored before and after.")] = "dev",
    device: Device = "cpu",
    overrides: Overrides = [],  # noqa: B006 - as above
) -> None:
    """Remove small alphas of a cross-stitch or sluice network, and what no task then reaches; show what it costs."""
    from seqmtl.training import prune_checkpoint
    from seqmtl.training.prune import pruning_table

    console = Console()
    pruned = prune_checkpoint(
        run, threshold=threshold, out=out, split=split, overrides=overrides, device=device, console=console
    )
    console.print(pruning_table(pruned, title=f"{run}, {split}, without alphas below {threshold:g}"))
    console.print(f"pruned checkpoint: {out}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def push(
    run: RunFolder,
    name: Annotated[str, typer.Argument(metavar="NAME/MODEL", help="On the hub; made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Show it to nobody else.")] = False,
    revision: Annotated[str | None, typer.Option(help="Branch; default: the main one.")] = None,
    licence: Annotated[
        str | None, typer.Option(help="Of the model, as the hub calls it, for example cc-by-sa-4.0.")
    ] = None,
) -> None:
    """Publish a run on the hub: weights, tokenizer, configuration, recipe, scores, pictures and a model card."""
    from seqmtl.publishing import push_to_hub

    commit = push_to_hub(run, name, private=private or None, revision=revision, licence=licence)
    Console().print(f"{name}: {commit}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def schema() -> None:
    """Print the JSON schema of a recipe, with which an editor completes and checks one."""
    from seqmtl.specs.recipe import recipe_schema

    Console().print_json(data=recipe_schema())  # lines of any length: a file that it is sent to is valid JSON


def _show_errors(console: Console, evaluation: "Evaluation", count: int) -> None:
    """Print the first ``count`` sentences with a mistake."""
    from seqmtl.documents import sentence_diff
    from seqmtl.evaluation import annotations

    wrong = annotations.errors(
        evaluation.model.tasks, rows=evaluation.rows, predictions=evaluation.predictions, corpus=evaluation.corpus
    )
    for row, gold, predicted in islice(wrong, count):
        console.rule(Text(row["id"]), align="left")
        console.print(sentence_diff(row["tokens"], gold=gold, predicted=predicted))


def _check_out(form: str, out: Path | None) -> None:
    """Refuse, before the work, to write to where the form cannot be written."""
    from seqmtl.training.folder import make_folder

    if form == "brat":
        if out is None:
            raise ConfigError("--format brat: writes two files for each text; name their folder: --out FOLDER")
        make_folder(out)
    elif out is not None:
        if form != "html":
            raise ConfigError(f"--out {out}: is for --format html and brat; --format {form} is shown: send it on by >")
        _check_writable(out, option="--out")


def _write(out: Path | None, text: str) -> None:
    """Write to a file, its line ends as they are in the text; None: to the standard output."""
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.write_bytes(text.encode("utf-8"))


def _check_writable(path: Path, *, option: str = "--json") -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise ConfigError(f"{option} {path}: cannot be written: {error.strerror}") from None


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")  # bytes: line ends stay as they are, so that offsets fit the file
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 text: {error}") from None


def main() -> None:
    """Run the command line; an error that a person can mend is one message and exit code 2.

    A run that was told to stop, and can go on, exits with 75.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # words are remembered, and a fork would warn
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    try:
        app()
    except SeqMTLError as error:
        Console(stderr=True, soft_wrap=True, highlight=False).print(f"error: {error}", markup=False, style="red")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
