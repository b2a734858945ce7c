"""Small recipes, corpora and one trained run for the tests of training, tagging and the command line."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from rich.console import Console
from transformers import AutoTokenizer, BertConfig, BertModel

from seqmtl.data.toy import generate
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
    train_recipe(
        str(folder / "recipe.yaml"), folder / "run", overrides=["training.epochs=6"], console=Console(quiet=True)
    )
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
