"""Look for the hyper-parameters under which a recipe does best on dev, with Optuna (pip install 'seqmtl[sweep]').

python scripts/sweep.py quickstart --out runs/sweep --trials 20 \
    --search training.learning_rates.heads=1e-4:1e-2:log --search encoder.layers=1:3 --search encoder.width=100,200

LOW:HIGH is a range, of whole numbers if both ends are such; A,B,C are choices. Each trial is a run in OUT/trial-N, and
a line in OUT/trials.jsonl, from which the same command goes on. A trial that diverges is written down without a score.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import optuna
import typer
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from transformers.utils import logging

from seqmtl import ConfigError, SeqMTLError, TrainingError, load_recipe, train_recipe

Space = dict[str, BaseDistribution]


def main(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a shipped recipe.")],
    out: Annotated[Path, typer.Option(help="Folder of all runs.")],
    searched: Annotated[list[str], typer.Option("--search", metavar="KEY=LOW:HIGH[:log] or KEY=A,B,C")],
    trials: Annotated[int, typer.Option(help="So many in all.")] = 20,
    overrides: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE")] = [],  # noqa: B006 - only read
) -> None:
    logging.disable_progress_bar()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        space = dict(map(searched_key, searched))
        study = sweep(recipe, out, space, trials=trials, overrides=overrides)
    except SeqMTLError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    if study.get_trials(states=[TrialState.COMPLETE]):
        settings = " ".join(f"--set {key}={value}" for key, value in study.best_params.items())
        print(f"best: trial {study.best_trial.number}, mean of dev {study.best_value:.4f}: {settings}")


def sweep(recipe: str, out: Path, space: Space, *, trials: int, overrides: list[str]) -> optuna.Study:
    """Take the trials that are left."""
    journal = out / "trials.jsonl"
    done = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=1 + len(done)))
    for trial in done:
        if trial["params"].keys() != space.keys():
            raise ConfigError(f"{journal}: searched {', '.join(trial['params'])}; name the same keys, or another --out")
        state = TrialState.FAIL if trial["score"] is None else TrialState.COMPLETE
        study.add_trial(create_trial(state=state, value=trial["score"], params=trial["params"], distributions=space))
    out.mkdir(parents=True, exist_ok=True)
    for number in range(len(done), trials):
        trial = study.ask(space)
        settings = [f"{key}={value}" for key, value in trial.params.items()]
        spec, folder = load_recipe(recipe, overrides=[*overrides, *settings])
        run = out / f"trial-{number}"
        try:
            train_recipe(spec, run, folder=folder, resume=run.exists())  # asked again, a trial has the same settings
            score = best_on_dev(run)
        except TrainingError as error:
            print(f"trial {number}: {error}", file=sys.stderr)
            score = None
        study.tell(trial, score, state=TrialState.FAIL if score is None else None)
        with journal.open("a") as file:
            file.write(json.dumps({"params": trial.params, "score": score}) + "\n")
    return study


def searched_key(text: str) -> tuple[str, BaseDistribution]:
    """What is searched: a key of the recipe, and where.

    Raises:
        ConfigError: when it is neither a range nor choices.
    """
    key, _, values = text.partition("=")
    if "," in values:
        return key, CategoricalDistribution(values.split(","))
    ends, log = values.removesuffix(":log").split(":"), values.endswith(":log")
    try:
        low, high = (float(end) for end in ends)
        if all(end.isdecimal() for end in ends):
            return key, IntDistribution(int(low), int(high), log=log)
        return key, FloatDistribution(low, high, log=log)
    except ValueError as error:
        raise ConfigError(f"--search {text}: {error}; write KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=A,B,C") from None


def best_on_dev(run: Path) -> float:
    """The mean over tasks of the evaluation whose weights were kept.

    Raises:
        ConfigError: when there was none.
    """
    events: list[dict[str, Any]] = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    scores = [event["scores"].values() for event in events if event["kind"] == "dev"]
    if not scores:
        raise ConfigError(f"{run}: there is no 'dev' split by whose scores trials could be compared; add one")
    return max(sum(values) / len(values) for values in scores)


if __name__ == "__main__":
    typer.run(main)
