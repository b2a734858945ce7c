"""Small recipes, corpora, models and one trained run."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chromium
import pytest
import torch
import yaml
from rich.console import Console
from transformers import AutoTokenizer, BertConfig, BertModel

from seqmtl.batch import Batch
from seqmtl.configuration import inventory_sizes
from seqmtl.data.collation import Collator
from seqmtl.data.indexers import new_indexer
from seqmtl.data.indexing import Indexer
from seqmtl.data.tasks import build_task
from seqmtl.data.toy import generate
from seqmtl.encoders.backbone import load_backbone_config
from seqmtl.modeling import SeqMTLModel
from seqmtl.specs.encoders import TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.recipe import RecipeSpec, load_recipe
from seqmtl.specs.sharing import SharingSpec
from seqmtl.specs.tasks import TaskSpec
from seqmtl.training import train_recipe

Recipe = dict[str, Any]

TINY: Recipe = {
    "name": "tiny",
    "corpora": {"toy": {"kind": "toy", "sizes": {"train": 60, "dev": 16, "test": 16}}},
    "tasks": {
        "upos": {"layer": "upos", "head": {"kind": "softmax"}},
        "chunk": {"layer": "chunk_tags", "scheme": "bio", "head": {"kind": "crf"}, "unseen_labels": "allow"},
        "ner": {"layer": "ner_tags", "scheme": "bioes", "head": {"kind": "softmax"}, "unseen_labels": "allow"},
        "predicate": {"layer": "srl_frames", "head": {"kind": "predicate"}},
        "srl": {
            "layer": "srl_frames",
            "head": {"kind": "srl", "width": 32},
            "predicates": "predicate",
            "unseen_labels": "allow",
        },
    },
    "encoder": {
        "kind": "bilstm",
        "layers": 1,
        "width": 32,
        "word_dim": 16,
        "min_count": 1,
        "characters": {"kind": "cnn", "dim": 8, "width": 16},
    },
    "mixture": {"tokens_per_batch": 150},
    "training": {"epochs": 1, "precision": "fp32", "learning_rates": {"encoder": 2e-2, "heads": 2e-2}},
}

TINY_TRANSFORMER: Recipe = {
    "kind": "transformer",
    "scalar_mix": True,
    "characters": {"kind": "cnn", "dim": 8, "width": 16},
}


@pytest.fixture
def tiny() -> Recipe:
    """Five tasks on the toy corpus with a very small BiLSTM; a test changes what it likes."""
    return copy.deepcopy(TINY)


@pytest.fixture(scope="session")
def toy_rows() -> Callable[[int], list[dict[str, Any]]]:
    """The first n training rows of the toy corpus."""
    rows = list(generate("train", n=60, seed=0))
    return lambda n: copy.deepcopy(rows[:n])


@pytest.fixture
def write_corpus(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Write splits of rows as JSON lines; return the corpus as a recipe names it."""

    def write(name: str, **splits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        folder = tmp_path / name
        folder.mkdir()
        for split, rows in splits.items():
            lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows]
            (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
        return {"kind": "jsonl", "path": str(folder), "splits": {split: f"{split}.jsonl" for split in splits}}

    return write


@pytest.fixture
def write_recipe(tmp_path: Path) -> Callable[[Recipe], Path]:
    """Write a recipe to a file."""

    def write(recipe: Recipe) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(yaml.safe_dump(recipe), encoding="utf-8")
        return path

    return write


@pytest.fixture
def quiet() -> Console:
    """A console that shows nothing."""
    return Console(quiet=True)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the tiny recipe, trained once for all tests, which must not change it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(TINY), encoding="utf-8")
    longer = ["corpora.toy.sizes.train=100", "mixture.tokens_per_batch=60", "training={epochs: 12, evaluate_every: 6}"]
    rates = ["training.learning_rates={encoder: 0.02, heads: 0.02}", "training.precision=fp32"]
    recipe, home = load_recipe(str(folder / "recipe.yaml"), overrides=[*longer, *rates])
    train_recipe(recipe, folder / "run", folder=home, console=Console(quiet=True))
    return folder / "run"


@pytest.fixture(scope="session")
def sluice_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a sluice network of two tasks after three steps; as ``tiny_run``, nobody may change it."""
    folder = tmp_path_factory.mktemp("sluice")
    recipe = copy.deepcopy(TINY)
    recipe["tasks"] = {name: recipe["tasks"][name] | {"unseen_labels": "allow"} for name in ("upos", "ner")}
    recipe["corpora"]["toy"]["sizes"] = {"train": 24, "dev": 4, "test": 4}
    recipe["sharing"] = {"kind": "sluice", "tower": {"kind": "bilstm", "layers": 2, "width": 8}}
    recipe["training"] |= {"max_steps": 3, "log_coupling_every": 2}
    spec = RecipeSpec.parse(recipe, source="sluice")
    train_recipe(spec, folder / "run", folder=folder, console=Console(quiet=True))
    return folder / "run"


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizers: Path) -> Path:
    """The folder of a random BERT of two layers, 32 pieces at most."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizers / "wordpiece")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def still_encoder(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: Path) -> Path:
    """The same without dropout."""
    folder = tmp_path_factory.mktemp("still") / "encoder"
    shutil.copytree(tiny_encoder, folder)
    config = json.loads((folder / "config.json").read_text())
    chances = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config | chances))
    return folder


@dataclass(frozen=True)
class TinyModel:
    """An untrained model with what it reads, in training mode."""

    model: SeqMTLModel
    indexer: Indexer
    batch: Batch
    rows: list[dict[str, Any]]


@pytest.fixture(scope="session")
def tiny_rows() -> list[dict[str, Any]]:
    """Seven sentences of zero to nine words with all layers; one lacks ner_tags, some have no predicate."""
    path = Path(__file__).parents[1] / "fixtures" / "tiny_corpus.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def tiny_model(tiny_rows: list[dict[str, Any]], tiny_encoder: Path) -> Callable[..., TinyModel]:
    """Builds a model over a tiny BERT, with spelling and scalar mix, for some or all of the tiny recipe's tasks."""

    def build(
        *names: str,
        seed: int = 1,
        sharing: SharingSpec | None = None,
        decoders: DecodersSpec | None = None,
        heads: Mapping[str, dict[str, Any]] | None = None,
        **encoder: Any,
    ) -> TinyModel:
        torch.manual_seed(seed)
        spec = TransformerEncoderSpec.parse(
            TINY_TRANSFORMER | {"pretrained": str(tiny_encoder)} | encoder, source="test"
        )
        chosen = names or tuple(TINY["tasks"])
        specs = {name: TINY["tasks"][name] for name in chosen}
        for name, head in (heads or {}).items():
            specs[name] = specs[name] | {"head": head}
        tasks = [build_task(name, TaskSpec.parse(spec, source=name), tiny_rows) for name, spec in specs.items()]
        backbone = load_backbone_config(spec.pretrained)
        indexer = new_indexer(spec, backbone=backbone, sentences=[row["tokens"] for row in tiny_rows])
        model = SeqMTLModel.from_encoder(
            spec,
            tasks=tasks,
            sharing=sharing,
            decoders=decoders and dict.fromkeys(chosen, decoders),
            sizes=inventory_sizes(indexer),
        )
        batch = Collator(indexer, tasks)([("tiny", row) for row in tiny_rows])
        return TinyModel(model.train(), indexer, batch, tiny_rows)

    return build


@pytest.fixture
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[chromium.Page]:
    """A page of headless Chromium, where this machine has it."""
    found = chromium.find()
    if found is None:
        pytest.skip("no Chromium on this machine: install the package chromium, or name one in CHROMIUM")
    with chromium.browse(found, tmp_path_factory.mktemp("chromium")) as page:
        yield page
