"""A small recipe under each sharing scheme, and runs that are compared bit by bit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
from accelerate.state import AcceleratorState
from matplotlib.figure import Figure
from rich.console import Console

from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import train_recipe

TOWER = {"kind": "bilstm", "width": 8}
TOWERS = {**TOWER, "layers": 2}
BLOCKS = {"kind": "transformer", "layers": 1}
SCHEMES: dict[str, dict[str, Any]] = {
    "hard": {"kind": "hard"},
    "independent": {"kind": "independent", "tower": TOWER},
    "soft": {"kind": "soft", "tower": TOWER, "weight": 0.5},
    "hierarchical": {"kind": "hierarchical", "tower": TOWERS, "depths": {"upos": 1, "ner": 2}},
    "jmt": {"kind": "jmt", "tower": TOWER, "label_dim": 4, "successive_regularisation": {}},
    "shared_private": {"kind": "shared_private", "shared": TOWER, "private": TOWER, "adversary": {"weight": 0.1}},
    "cross_stitch": {"kind": "cross_stitch", "tower": TOWERS},
    "sluice": {"kind": "sluice", "tower": TOWERS},
    "sluice_blocks": {"kind": "sluice", "tower": BLOCKS},
    "meta_lstm": {"kind": "meta_lstm", "width": 8, "meta_size": 4},
    "meta_lora": {"kind": "meta_lora", "tower": BLOCKS, "rank": 2, "meta_size": 4},
    "branching": {"kind": "branching", "tower": TOWERS, "tree": [[["upos", "ner"]], [["upos"], ["ner"]]]},
    "conditioning": {"kind": "conditioning", "form": "film", "tower": TOWER},
}


@pytest.fixture
def another_precision():
    """Accelerate has one precision for a process and all that comes after: it forgets before and afterwards."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(params=SCHEMES)
def scheme(request: pytest.FixtureRequest) -> str:
    """Each sharing scheme in turn."""
    return request.param


@pytest.fixture
def under(tiny: dict[str, Any], tiny_encoder: Path) -> Callable[[str], dict[str, Any]]:
    """The tiny recipe with two tasks under a scheme: three epochs of a few steps, with dropout."""

    def make(scheme: str) -> dict[str, Any]:
        tiny["tasks"] = {name: tiny["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "ner")}
        tiny["corpora"]["toy"]["sizes"] = {"train": 30, "dev": 8, "test": 8}
        tiny["sharing"] = SCHEMES[scheme]
        tiny["training"] |= {"epochs": 3, "save_every": 2, "log_coupling_every": 3}
        if scheme == "jmt":
            tiny["mixture"]["schedule"] = "sequential"
        if BLOCKS in SCHEMES[scheme].values():
            tiny["encoder"] = {"kind": "transformer", "pretrained": str(tiny_encoder), "overlap": 8}
        return tiny

    return make


@pytest.fixture
def stream_of(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes rows; returns the corpus that streams some of their layers, four of them as dev, as a recipe names it."""

    def write(rows: list[dict[str, Any]], *layers: str) -> dict[str, Any]:
        datasets.Dataset.from_list(rows).to_parquet(str(tmp_path / "train.parquet"))
        return {
            "kind": "hub",
            "dataset": str(tmp_path),
            "columns": {name: name for name in ("tokens", *layers)},
            "splits": {"train": "train", "dev": "train"},
            "limit": {"dev": 4},
            "streaming": True,
        }

    return write


@pytest.fixture
def unplotted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Curves that are not drawn, which would take longer than a small run."""
    monkeypatch.setattr(Figure, "savefig", lambda _, path, dpi: Path(path).touch())  # noqa: ARG005 - as it is called


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, ending: Callable[[Path], Any]) -> Callable[[Any], dict[str, Any]]:
    """What a recipe comes to when nothing ends its run; the same recipe is trained once."""
    found: dict[str, dict[str, Any]] = {}

    def train(recipe: dict[str, Any]) -> dict[str, Any]:
        key = json.dumps(recipe)
        if key not in found:
            run = tmp_path_factory.mktemp("whole")
            train_recipe(RecipeSpec.parse(recipe, source="test"), run, console=Console(quiet=True))
            found[key] = ending(run)
        return found[key]

    return train


@pytest.fixture(scope="session")
def ending() -> Callable[[Path], dict[str, Any]]:
    """What a finished run has come to: the bits of all its files, but for the time that it took."""

    def read(run: Path) -> dict[str, Any]:
        found: dict[str, Any] = {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*.*")}
        events = [json.loads(line) for line in found.pop("history.jsonl").splitlines()]
        found["history"] = [{k: v for k, v in event.items() if k != "words_per_second"} for event in events]
        return found

    return read
