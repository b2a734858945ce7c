"""The run folder, before anything is written to it."""

import os
from pathlib import Path

from seqmtl.errors import ConfigError
from seqmtl.files import remove_folder, tidy
from seqmtl.training.history import HISTORY

BEST = "best"  # holds a checkpoint per task
STATE = "state"  # holds what a run that is not finished needs to go on
FINISHED = "metrics.json"  # says that a run is
CONFIG = "config.json"  # says that there is a checkpoint
# What a run writes; nothing else in its folder is ever removed.
OURS = (
    FINISHED,
    CONFIG,
    HISTORY,
    "added_tokens.json",
    "chat_template.jinja",
    "coupling-*.png",
    "model*.safetensors",
    "model.safetensors.index.json",
    "not_finite-*.json",
    "pseudo-tasks.png",
    "recipe.yaml",
    "scores-*.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.png",
    "vocabulary.json",
)

SHOWN = 3  # names in a message


def make_folder(out: Path) -> None:
    """Make a folder to write to.

    Raises:
        ConfigError: when it cannot be made, or not be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be made a folder: {error.strerror}; choose another one") from None
    if not os.access(out, os.W_OK):
        raise ConfigError(f"{out}: cannot be written to; choose another folder")


def make_run_folder(out: Path) -> None:
    """Make a folder for a run.

    Raises:
        ConfigError: when it cannot be made or written to, or holds what a run would overwrite and no run has written.
    """
    make_folder(out)
    check_folder(out)


def check_folder(out: Path) -> None:
    """Make sure that nothing in ``out`` would be lost but what a former run left there.

    Raises:
        ConfigError: naming what would be.
    """
    if _is_run(out):
        return
    theirs = sorted(path.name for pattern in (STATE, BEST, *OURS) for path in out.glob(pattern))
    if theirs:
        shown = ", ".join(theirs[:SHOWN]) + (f" and {len(theirs) - SHOWN} more" if len(theirs) > SHOWN else "")
        raise ConfigError(
            f"{out}: is no run, and has {shown}, which a run would overwrite or remove; choose another --out, or move "
            "them away"
        )


def clear_folder(out: Path) -> None:
    """Remove what a former run left in ``out``.

    What a kill leaves in the course of it is a run that is not finished, to be removed by the next one: what says
    otherwise goes first, and the history last.

    Raises:
        ConfigError: when no run has written what has the name of such a thing; nothing is touched then.
    """
    check_folder(out)
    if not _is_run(out):
        return
    tidy_folder(out)
    (out / FINISHED).unlink(missing_ok=True)
    (out / HISTORY).touch()  # pruning leaves none
    remove_folder(out / STATE)
    for pattern in OURS:
        for file in out.glob(pattern):
            if file.name != HISTORY:
                file.unlink()
    remove_folder(out / BEST)
    (out / HISTORY).unlink()


def tidy_folder(out: Path) -> None:
    """Remove from ``out`` what a run that was killed had not written to its end, or not removed."""
    for folder in (out, out / STATE, *(out / BEST).glob("*")):
        tidy(folder)


def _is_run(out: Path) -> bool:
    """Whether a run was trained there, to its end or not, or saved by pruning, which leaves no history."""
    return (out / HISTORY).exists() or ((out / CONFIG).exists() and (out / "recipe.yaml").exists())
