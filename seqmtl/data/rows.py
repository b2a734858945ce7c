"""The canonical row: one sentence with all the layers that it has.

A row has ``id`` (str), ``tokens`` (list of str), one list of string tags per token-level layer, and ``srl_frames``, a
list of ``{"predicate": int, "sense": str, "tags": list[str]}`` in BIO over words with ``B-V`` at the predicate. A layer
that a row lacks is ``None`` or absent. Empty sentences, empty tokens and several frames on one predicate are legal.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from datasets import Features, List, Value

from seqmtl.errors import DataError

Row = Mapping[str, Any]  # whoever reads one leaves it as it is

ID, TOKENS, FRAMES = "id", "tokens", "srl_frames"


def check_row(row: Mapping[str, Any], *, corpus: str, split: str, place: str = "") -> None:
    """Check one canonical row, read from ``place`` (a file and line).

    Raises:
        DataError: the row contradicts itself; the message names corpus, split, row id and place, and shows both sides.
    """
    try:
        _check(row)
    except DataError as error:
        raise DataError(f"{where(row, corpus=corpus, split=split, place=place)}: {error}") from None


def where(row: Mapping[str, Any], *, corpus: str, split: str, place: str = "") -> str:
    """The words by which an error names a row."""
    return f"corpus {corpus!r}, split {split!r}, row {row.get(ID)!r}" + (f" ({place})" if place else "")


def layers_of(row: Mapping[str, Any]) -> list[str]:
    """The layers that a row has, in its own order."""
    return [key for key, value in row.items() if key not in (ID, TOKENS) and value is not None]


def features_of(layers: Sequence[str]) -> Features:
    """The columns of a dataset with these layers."""
    words = List(Value("string"))
    frame = {"predicate": Value("int32"), "sense": Value("string"), "tags": words}
    columns = {layer: List(frame) if layer == FRAMES else words for layer in layers}
    return Features({ID: Value("string"), TOKENS: words, **columns})


def _check(row: Mapping[str, Any]) -> None:
    if not isinstance(row.get(ID), str):
        raise DataError(f"'id' must be a string, but is {row.get(ID)!r}")
    if not _is_strings(row.get(TOKENS)):
        raise DataError(f"'tokens' must be a list of strings, but is {_brief(row.get(TOKENS))}")
    length = len(row[TOKENS])
    for layer in layers_of(row):
        if layer == FRAMES:
            _check_frames(row[FRAMES], length)
        else:
            _check_tags(row[layer], length, layer)


def _check_frames(frames: Any, length: int) -> None:
    if not isinstance(frames, list):
        raise DataError(f"'srl_frames' must be a list of frames, but is {_brief(frames)}")
    for number, frame in enumerate(frames):
        _check_frame(frame, length, f"srl_frames[{number}]")


def _check_frame(frame: Any, length: int, name: str) -> None:
    if not isinstance(frame, Mapping) or set(frame) != {"predicate", "sense", "tags"}:
        raise DataError(f"'{name}' must have the keys predicate, sense and tags, but is {_brief(frame)}")
    predicate = frame["predicate"]
    if not isinstance(predicate, int) or isinstance(predicate, bool):
        raise DataError(f"'{name}.predicate' must be the index of a word, but is {predicate!r}")
    if not isinstance(frame["sense"], str):
        raise DataError(f"'{name}.sense' must be a string, but is {frame['sense']!r}")
    _check_tags(frame["tags"], length, f"{name}.tags")
    if not 0 <= predicate < length:
        raise DataError(f"'{name}.predicate' is {predicate}, but the sentence has {length} tokens (0 to {length - 1})")
    if frame["tags"][predicate] != "B-V":
        raise DataError(
            f"'{name}.tags' must have B-V at the predicate, word {predicate}, but has {frame['tags'][predicate]!r}"
        )


def _check_tags(tags: Any, length: int, name: str) -> None:
    if not _is_strings(tags):
        raise DataError(f"'{name}' must be a list of strings, one per token, but is {_brief(tags)}")
    if len(tags) != length:
        raise DataError(f"{length} tokens but {len(tags)} tags in '{name}'; each token needs exactly one tag")


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
