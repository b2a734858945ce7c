"""The exceptions that seqmtl raises for things a person can mend.

Every message shows what was found, what is allowed and what to do about it. Programming mistakes inside the library are
``assert`` statements, never one of these.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

WRONG, STOPPED = 2, 75  # exit codes; 75 is EX_TEMPFAIL of sysexits.h: start the same command again


class SeqMTLError(Exception):
    """Base of every error that seqmtl raises on purpose; the command line turns it into its exit code."""

    exit_code: ClassVar[int] = WRONG


class ConfigError(SeqMTLError):
    """A recipe, a spec or a command-line option asks for something impossible."""


class DataError(SeqMTLError):
    """A corpus cannot be read, or a row of it contradicts itself."""


class LabelError(DataError):
    """A label is unknown to its inventory, or a tag breaks its scheme."""


class EncoderError(SeqMTLError):
    """An encoder or its tokenizer cannot be loaded or cannot do what is asked."""


class CheckpointError(SeqMTLError):
    """A checkpoint is missing, broken, cannot be written, or does not fit what it is loaded into."""


class HubError(CheckpointError):
    """The hub cannot be reached, does not have what was asked for, or does not let this person at it."""


class TrainingError(SeqMTLError):
    """Training cannot go on, for example because the loss is not finite."""


class StoppedError(SeqMTLError):
    """Training was told to stop, and the run folder holds all that is needed to go on."""

    exit_code = STOPPED


def nearest(name: str, options: Iterable[str]) -> str:
    """Return a hint that names the options closest to ``name``, or all of them when none is close.

    >>> nearest("sluce", ["sluice", "hard"])
    "did you mean 'sluice'?"
    >>> nearest("x", ["sluice", "hard"])
    'allowed: hard, sluice'
    """
    known = sorted(set(options))
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(known)}"


def cannot_write(error: Exception) -> str:
    """Why something could not be written, and the remedy; what was there before is as it was.

    >>> cannot_write(OSError(28, "No space left on device"))
    'cannot be written (No space left on device); what was there before is kept: make room, or choose another folder'
    """
    reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
    return f"cannot be written ({reason}); what was there before is kept: make room, or choose another folder"
