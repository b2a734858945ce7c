"""The YAML files that come with seqmtl: ``tasks/corpora`` and ``tasks/recipes``."""

from pathlib import Path
from typing import Any, Literal

import yaml

from seqmtl.errors import ConfigError, nearest

Kind = Literal["corpora", "recipes"]


def shipped(kind: Kind) -> Path:
    """The folder of the shipped files: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parents[1]
    checkout = package.parent / "tasks" / kind
    return checkout if checkout.is_dir() else package / "tasks" / kind


def find(kind: Kind, name: str) -> Path:
    """The shipped file called ``name``.

    Raises:
        ConfigError: there is no such file; the message names the nearest.
    """
    path = shipped(kind) / f"{name}.yaml"
    if not path.is_file():
        known = [file.stem for file in shipped(kind).glob("*.yaml")]
        raise ConfigError(f"no file {name!r} among the shipped {kind}; {nearest(name, known)}")
    return path


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: the file is missing, is not UTF-8 or YAML (the message names the line), or holds something else.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must hold a mapping of keys, but holds {type(data).__name__}")
    return data
