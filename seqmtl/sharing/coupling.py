"""What a scheme has learned about its tasks, as JSON, and as the start of another scheme.

M towers, S subspaces, K layers.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqmtl.errors import ConfigError, DataError
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.sharing.base import Coupling, Table

ALPHA, BETA, DISTANCE = "alpha", "beta", "distance"


def coupling_to_json(coupling: Coupling) -> dict[str, Any]:
    """The tables as plain dictionaries; a number is the shortest decimal that reads back as the same float32."""
    return {
        name: {"rows": list(table.rows), "columns": list(table.columns), "values": _decimals(table.values)}
        for name, table in coupling.tables.items()
    }


def coupling_from_json(data: Any) -> Coupling:
    """The tables that ``coupling_to_json`` wrote.

    Raises:
        DataError: when the data has another form.
    """
    try:
        return Coupling({name: _table(content) for name, content in data.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"this is not a coupling ({type(error).__name__}: {error}); expected for each table the keys rows, columns "
            "and values, as `seqmtl inspect --json` writes them"
        ) from None


def read_coupling(path: Path) -> Coupling:
    """The coupling that ``seqmtl inspect --json`` wrote to a file.

    Raises:
        ConfigError: when there is none.
    """
    try:
        return coupling_from_json(json.loads(path.read_text(encoding="utf-8"))["tables"])
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, TypeError, KeyError):  # a UnicodeDecodeError is a ValueError
        reason = "holds no coupling"
    except DataError as error:
        reason = str(error)
    raise ConfigError(f"sharing.alpha_from: {path}: {reason}; write one with `seqmtl inspect RUN --json FILE`")


def layer_tables(coupling: Coupling, kind: str) -> list[Table]:
    """The tables of one kind, such as alpha, by layer."""
    return [table for name, table in coupling.tables.items() if kind_of_table(name) == kind]


def kind_of_table(name: str) -> str:
    """The name of a table without the number of its layer.

    >>> kind_of_table("alpha 12"), kind_of_table("beta")
    ('alpha', 'beta')
    """
    return name.rstrip("0123456789").rstrip()


def mixes_layers(coupling: Coupling, kind: str) -> bool:
    """Whether it says how much of each layer a task reads, as beta of sluice networks does; FiLM's is another beta."""
    return kind == BETA and coupling.tables[kind].columns[0] == "layer 1"


def moving(coupling: Coupling) -> Coupling:
    """The tables whose course over training is worth a look: alpha, beta of layers, distance."""
    kinds = {name: kind_of_table(name) for name in coupling.tables}
    return Coupling(
        {
            name: table
            for name, table in coupling.tables.items()
            if kinds[name] in (ALPHA, DISTANCE) or mixes_layers(coupling, kinds[name])
        }
    )


def start_alphas(mixers: Iterable[nn.Module], found: Coupling, *, wanted: Coupling, source: str) -> None:
    """Let ``mixers``, one per layer, start at the alphas of ``found``, arranged as those of ``wanted`` are.

    Raises:
        ConfigError: when ``found`` is of other tasks, subspaces or layers, or has numbers at which alpha cannot start.
    """
    ours, theirs = layer_tables(wanted, ALPHA), layer_tables(found, ALPHA)
    if len(theirs) != len(ours) or any(set(table.rows) != set(ours[0].rows) for table in theirs):
        raise ConfigError(
            f"sharing.alpha_from: {source} holds {_shape(theirs)}; this recipe has {_shape(ours)}; "
            "name a run with its tasks, subspaces and layers of towers"
        )
    matrices = [_arranged(table, like=ours[0], source=source) for table in theirs]
    for mixer, matrix in zip(mixers, matrices, strict=True):
        assert isinstance(mixer, Alpha | ChannelAlpha)
        _check_start(mixer, matrix, source=source)
        mixer.start(matrix)


def start_betas(betas: Mapping[str, nn.Module], found: Coupling, *, wanted: Coupling, source: str) -> None:
    """Let ``betas``, one per task, start at those of ``found`` when it has any, arranged as those of ``wanted`` are.

    Raises:
        ConfigError: when ``found`` has betas of other tasks or layers.
    """
    if BETA in found.tables:
        table = wanted.tables[BETA]
        for task, row in zip(table.rows, _arranged(found.tables[BETA], like=table, source=source), strict=True):
            betas[task].get_parameter("weight").data.copy_(row)


def _decimals(values: Tensor) -> list[list[float]]:
    numbers: np.ndarray = values.detach().float().cpu().numpy()
    return [[float(str(number)) for number in row] for row in numbers]


def _table(content: Mapping[str, Any]) -> Table:
    rows, columns = (tuple(map(str, content[key])) for key in ("rows", "columns"))
    values = torch.tensor(content["values"], dtype=torch.float32)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"values of {tuple(values.shape)} for {len(rows)} rows and {len(columns)} columns")
    return Table(rows, columns, values)


def _arranged(table: Table, *, like: Table, source: str) -> Tensor:
    """The values of ``table`` with its rows and columns in the order of ``like``."""
    if {*table.rows} != {*like.rows} or {*table.columns} != {*like.columns}:
        raise ConfigError(
            f"sharing.alpha_from: {source} has a table of {', '.join(table.rows)} by {', '.join(table.columns)}; "
            f"this recipe's is of {', '.join(like.rows)} by {', '.join(like.columns)}"
        )
    down = [table.rows.index(name) for name in like.rows]
    across = [table.columns.index(name) for name in like.columns]
    return table.values[down][:, across]


def _shape(alphas: Sequence[Table]) -> str:
    """Number of layers, and between which subspaces of which tasks the alphas stand."""
    names = dict.fromkeys(name for table in alphas for name in table.rows)
    return f"alphas of {len(alphas)} layer(s) between {', '.join(names) or 'nothing'}"


def _check_start(mixer: Alpha | ChannelAlpha, matrix: Tensor, *, source: str) -> None:
    normalisation = mixer.normalisation if isinstance(mixer, Alpha) else "none"
    if not matrix.isfinite().all():
        problem = "has a number that is not finite; name another run"
    elif normalisation == "softmax" and not (matrix > 0).all():
        problem = f"has {matrix.min():g}, but a softmax is never 0 or below; set sharing.normalisation=none"
    elif normalisation == "l1" and not matrix.any(dim=1).all():
        problem = "has a row of zeros, which has no sum to be divided by; set sharing.normalisation=none"
    else:
        return
    raise ConfigError(f"sharing.alpha_from: {source} {problem}")
