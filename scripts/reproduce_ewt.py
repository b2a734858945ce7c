"""Train ``ewt_hard`` on EWT several times and report the mean test scores.

    python scripts/reproduce_ewt.py                                # first 4,000 train rows, 3 epochs, seeds 1 2 3,
                                                                   # batches of about 32 sentences
    python scripts/reproduce_ewt.py --rows 0 --seeds 1             # the full training set
    python scripts/reproduce_ewt.py --split dev                    # while choosing hyper-parameters: dev only

Each run is a folder under ``--out``; a run of the same recipe that is finished is not trained again. Words per second
are those of its last training epoch, and of tagging all layers of the test sentences in one go.
"""

import argparse
import json
from pathlib import Path
from statistics import mean, stdev

import torch
from _benchmark import RESULTS, machine
from _experiment import run_script, write_results
from rich.console import Console

from seqmtl import ConfigError, evaluate_checkpoint, load_recipe, train_recipe
from seqmtl.checkpoints import METRICS, load_recipe_of
from seqmtl.training.setup import resolved

PROTOCOL_TOKENS = 724  # about 32 sentences of EWT
SHOWN = {
    "upos": ("upos", "accuracy"),
    "chunk": ("chunk", "f1"),
    "ner": ("ner", "f1"),
    "srl": ("srl", "srl_f1_official"),
    "srl end to end": ("srl", "srl_f1_end_to_end"),
    "predicate": ("predicate", "f1"),
}


def one_run(recipe: str, out: Path, *, rows: int, seed: int, split: str, overrides: list[str]) -> dict[str, float]:
    """Train into ``out`` unless that is done; return scores in percent and words per second.

    Raises:
        ConfigError: when ``out`` holds a finished run of another recipe.
    """
    protocol = [f"corpora.ewt.limit={{train: {rows}}}", f"mixture.tokens_per_batch={PROTOCOL_TOKENS}"] if rows else []
    spec, folder = load_recipe(recipe, overrides=[*protocol, f"training.seed={seed}", *overrides])
    spec = resolved(spec, folder=folder)
    if not (out / METRICS).exists():
        train_recipe(spec, out, console=Console())
    elif load_recipe_of(out)[0] != spec:
        raise ConfigError(f"{out}: is a run of another recipe, see its recipe.yaml; name another folder with --out")
    result = out / f"scores-{split}.json"
    if result.exists():
        return json.loads(result.read_text(encoding="utf-8"))
    evaluation = evaluate_checkpoint(out, corpus="ewt", split=split)["ewt"]
    scores = {name: 100 * evaluation.scores[task].values[key] for name, (task, key) in SHOWN.items()}
    events = [json.loads(line) for line in (out / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    scores["train words/s"] = [event["words_per_second"] for event in events if event["kind"] == "dev"][-1]
    scores["tagging words/s"] = sum(len(row["tokens"]) for row in evaluation.rows) / evaluation.seconds
    result.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    return scores


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="ewt_hard")
    parser.add_argument("--rows", type=int, default=4000, help="first n training rows; 0: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--split", default="test")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce_ewt"))
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--markdown", action="store_true", help=f"write the table into {RESULTS.name} as well")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads (default: 2)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    name = f"{arguments.recipe}-{arguments.rows or 'all'}"
    runs = [
        one_run(
            arguments.recipe,
            arguments.out / f"{name}-seed{seed}",
            rows=arguments.rows,
            seed=seed,
            split=arguments.split,
            overrides=arguments.overrides,
        )
        for seed in arguments.seeds
    ]
    lines = [f"| {arguments.recipe}, {arguments.rows or 'all'} rows, {arguments.split} | mean | sd |", "|---|--:|--:|"]
    for key in runs[0]:
        values = [run[key] for run in runs]
        lines.append(f"| {key} | {mean(values):.2f} | {stdev(values) if len(values) > 1 else 0.0:.2f} |")
    print("\n".join(lines))
    if arguments.markdown:
        write_results(f"reproduce_{name}", lines, described=machine())
    print(json.dumps({"benchmark": f"reproduce_{name}", "machine": machine(), "runs": runs}))


if __name__ == "__main__":
    run_script(main)
