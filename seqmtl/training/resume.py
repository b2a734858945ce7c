"""Which run a state belongs to, and what may be different when it goes on.

A run that goes on is the run that it would have been without the pause, so what has decided the state must stay. Free
is what only says how the run is watched, for how long, and where its files lie, as long as there is the same in them.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from seqmtl.data.indexing import Indexer
from seqmtl.data.rows import Row
from seqmtl.data.source import ListSource
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.specs.mixture import AnnealedSpec
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training.optimisation import rate_factor
from seqmtl.training.setup import Prepared

FORMAT = 1
# Files are free, because the state has what came from them: weights, and vocabularies, which are compared.
FREE = frozenset(
    """
    name description training.save_every training.keep_states training.trackers training.log_coupling_every
    training.patience training.start_from sharing.alpha_from encoder.pretrained encoder.vectors
    """.split()
)
LENGTH = frozenset({"training.epochs", "training.max_steps"})  # free if the steps so far do not depend on it
SHOWN = 3  # keys that a message names


def facts_of(prepared: Prepared, *, steps: int, accelerator: Accelerator) -> dict[str, Any]:
    """What a run is: its recipe, what was found where that points, and by whom it is computed."""
    rows = {f"{name}, {split}": _digest(found) for name, split, found in _splits(prepared)}
    return {
        "format": FORMAT,
        "recipe": prepared.recipe.model_dump(mode="json"),
        "steps": steps,
        "rows": rows,
        "streamed": [name for name, source in prepared.train.items() if not isinstance(source, ListSource)],
        "vocabulary": _vocabulary(prepared.indexer),
        "processes": accelerator.num_processes,
        "device": accelerator.device.type,
        "precision": accelerator.mixed_precision,
    }


def check_same_run(then: Mapping[str, Any], now: Mapping[str, Any], *, out: Path, step: int) -> None:
    """Make sure that the run that is described by ``now`` would have come to the same state.

    Args:
        then: of the run that was saved.
        now: of the run that is to go on.
        out: the run folder.
        step: after which it was saved.

    Raises:
        CheckpointError: when a newer release saved it.
        ConfigError: naming the key.
    """
    if then["format"] > FORMAT:
        raise CheckpointError(f"{out}: format {then['format']} of its state is newer than {FORMAT}; upgrade")
    old, new = (RecipeSpec.parse(facts["recipe"], source=out) for facts in (then, now))
    recipe, around = changed_keys(old, new), ("processes", "device", "precision")
    streamed = tuple(f"corpora.{name}." for name in now["streamed"])  # nobody has all their rows to compare
    _refuse(
        {key: values for key, values in recipe.items() if key.startswith(streamed) or not _is_free(key)}
        | {key: (then[key], now[key]) for key in around if then[key] != now[key]},
        out=out,
    )
    _check_contents(then, now, out=out)
    for key in sorted(LENGTH & recipe.keys()):
        _check_length(key, (old, then["steps"]), (new, now["steps"]), step=step)


def check_finished(was: RecipeSpec, now: RecipeSpec, *, out: Path) -> None:
    """Make sure that the finished run in ``out`` is the one that is asked for.

    Raises:
        ConfigError: naming the key.
    """
    for key, (old, new) in changed_keys(was, now).items():
        moved = key.startswith("corpora.") and key.endswith(".path")
        if key not in FREE and not moved:
            raise ConfigError(
                f"{key}: got {new!r}, but the run in {out} is finished, with {old!r}, and has no state to go on from; "
                f"start another one from its weights with training.start_from={out}, or anew without --resume"
            )


def changed_keys(was: RecipeSpec, now: RecipeSpec) -> dict[str, tuple[Any, Any]]:
    """The keys in which two recipes differ, with both values; None where a recipe lacks one."""
    old, new = dict(_flat(was.model_dump(mode="json"))), dict(_flat(now.model_dump(mode="json")))
    return {key: (old.get(key), new.get(key)) for key in old | new if old.get(key) != new.get(key)}


def _is_free(key: str) -> bool:
    """Whether the key of a recipe may change as such: of corpora, and of the length, it is what follows from them."""
    return key in FREE | LENGTH or key.startswith("corpora.")


def _refuse(changes: Mapping[str, tuple[Any, Any]], *, out: Path) -> None:
    if changes:
        shown = "; ".join(f"{key}: got {new!r}, was {old!r}" for key, (old, new) in list(changes.items())[:SHOWN])
        more = f"; and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
        raise ConfigError(
            f"{shown}{more}: the run in {out} cannot go on with a change that would have made another run of it; "
            "undo it, or start anew without --resume"
        )


def _check_contents(then: Mapping[str, Any], now: Mapping[str, Any], *, out: Path) -> None:
    """Make sure that there is the same where the recipe points."""
    for key in sorted({*then["rows"], *now["rows"]}):
        was, found = then["rows"].get(key), now["rows"].get(key)
        if was != found:
            counts = " now, ".join(str(digest[0] if digest else 0) for digest in (found, was))
            raise ConfigError(
                f"corpora.{key}: has other sentences than when the run in {out} was started ({counts} then); give it "
                "those, or start anew without --resume"
            )
    if then["vocabulary"] != now["vocabulary"]:
        raise ConfigError(
            f"encoder: reads with another vocabulary than when the run in {out} was started; give it the encoder, the "
            "vectors or the run to start from that it had, or start anew without --resume"
        )


def _check_length(key: str, was: tuple[RecipeSpec, int], now: tuple[RecipeSpec, int], *, step: int) -> None:
    """Make sure that a run of another length, given with its steps, would have been the same up to ``step``."""
    (old, old_steps), (new, new_steps) = was, now
    if new_steps < step:
        raise ConfigError(f"{key}: makes {new_steps} steps, but the run has taken {step}; give at least as many")
    factors = rate_factor(old.training, steps=old_steps), rate_factor(new.training, steps=new_steps)
    annealed = key == "training.epochs" and isinstance(new.mixture.rates, AnnealedSpec)
    if annealed or any(factors[0](k) != factors[1](k) for k in range(step + 1)):
        what = "mixture.rates of kind 'annealed'" if annealed else f"the learning rates of the {step} steps so far"
        raise ConfigError(
            f"{key}: cannot be changed on the way: {what} would have been others; only where nothing depends on the "
            "length, as with training.schedule 'constant' and training.warmup 0, may it change"
        )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, by their keys with dots between."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{path}.{key}" if path else key)
    else:
        yield path, value


def _splits(prepared: Prepared) -> Iterator[tuple[str, str, Sequence[Row]]]:
    """Corpus, split and rows of all that is in memory."""
    for name, source in prepared.train.items():
        if isinstance(source, ListSource):
            yield name, "train", source.rows
    for split, rows in (("control", prepared.control), ("dev", prepared.dev), ("test", prepared.test)):
        for name, found in rows.items():
            yield name, split, found


def _digest(rows: Sequence[Row]) -> list[int | str]:
    """How many rows there are, and a number for what is in them."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode())
    return [len(rows), digest.hexdigest()]


def _vocabulary(indexer: Indexer) -> str:
    """A number for what has which id."""
    vocabularies = [part.vocabulary.items if part else None for part in (indexer.words, indexer.characters)]
    tokenizer = None
    if indexer.pieces is not None:
        tokenizer = json.loads(indexer.pieces.tokenizer.tokenizer.backend_tokenizer.to_str())  # type: ignore[attr-defined]
        tokenizer |= {"truncation": None, "padding": None}  # which its first use switches off
    return hashlib.sha256(json.dumps([*vocabularies, tokenizer]).encode()).hexdigest()
