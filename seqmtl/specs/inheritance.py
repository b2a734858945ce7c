"""Recipes that name a ``base`` and say only what they change in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqmtl.errors import ConfigError
from seqmtl.specs import library

BASE = "base"
OWN = ("name", "description")  # a base has its own, which its children do not inherit
VARIANT = ("kind", "use")  # the keys that say which variant of a thing a mapping describes


def read_recipe(path: Path) -> dict[str, Any]:
    """Read a recipe file; under ``base`` it may name another, which lies beside it or is shipped, and is merged in.

    Raises:
        ConfigError: a file cannot be read, or there is no such base, or the bases lead back to where they began.
    """
    return _read(path, above=())


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes``: mappings are merged key by key, unless they describe different variants.

    >>> merged({"a": {"x": 1, "y": 2}, "b": [1]}, {"a": {"x": 3}, "b": [2]})
    {'a': {'x': 3, 'y': 2}, 'b': [2]}
    >>> merged({"sharing": {"kind": "sluice", "subspaces": 2}}, {"sharing": {"kind": "hard"}})
    {'sharing': {'kind': 'hard'}}
    """
    result = dict(base)
    for key, value in changes.items():
        former = base.get(key)
        if isinstance(former, Mapping) and isinstance(value, Mapping) and not _varies(former, value):
            result[key] = merged(former, value)
        else:
            result[key] = value
    return result


def _read(path: Path, *, above: tuple[Path, ...]) -> dict[str, Any]:
    """Read a recipe on which those of ``above`` are based, the nearest last."""
    data = library.read_mapping(path)
    if BASE not in data:
        return data
    name = data.pop(BASE)
    line = (*above, path.resolve())
    base = _find(name, asked_by=path)
    if base.resolve() in line:
        circle = " -> ".join(file.stem for file in (*line[line.index(base.resolve()) :], base))
        raise ConfigError(f"{path}: {BASE}: leads back to where it began, {circle}; one of them must stand alone")
    inherited = {key: value for key, value in _read(base, above=line).items() if key not in OWN}
    return merged(inherited, data)


def _find(name: Any, *, asked_by: Path) -> Path:
    """The file of a base: local paths in a recipe count from its folder, so a base elsewhere would change meaning."""
    if not isinstance(name, str) or not name or Path(name).name != name or Path(name).suffix:
        raise ConfigError(
            f"{asked_by}: {BASE}: got {name!r}; give the name of a recipe in the same folder, or of a shipped one, "
            "without folder and ending"
        )
    beside = asked_by.parent / f"{name}.yaml"
    try:
        return beside if beside.is_file() else library.find("recipes", name)
    except ConfigError as error:
        raise ConfigError(f"{asked_by}: {BASE}: no {beside.name} in the same folder, and {error}") from None


def _varies(former: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return any(key in value and value[key] != former.get(key) for key in VARIANT)
