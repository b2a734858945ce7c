"""What the contract suite trains on: seven sentences with all layers, and a random BERT of two layers."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel


@pytest.fixture(scope="session")
def rows() -> list[dict[str, Any]]:
    """Sentences of zero to nine words, some without predicates, one without the ner layer."""
    path = Path(__file__).parents[1] / "fixtures" / "tiny_corpus.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizers: Path) -> str:
    """The folder of a random BERT of two layers, without dropout."""
    folder = tmp_path_factory.mktemp("bert")
    tokenizer = AutoTokenizer.from_pretrained(tiny_tokenizers / "wordpiece")
    tokenizer.save_pretrained(folder)
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    BertModel(config).save_pretrained(folder)
    return str(folder)
