"""Tiny encoders of every family that the library promises, each with a tokenizer of its kind."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from seqmtl.data.indexers import piece_limit
from seqmtl.data.indexing import CharacterIndexer, Indexer, PieceIndexer
from seqmtl.data.pieces import PieceTokenizer, load_tokenizer
from seqmtl.data.vocabulary import Vocabulary
from seqmtl.encoders.backbone import build_backbone
from seqmtl.encoders.build import InventorySizes, build_encoder
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.specs.encoders import TransformerEncoderSpec

LIMIT = 20
CHARACTERS = Vocabulary(tuple("abcdefghijklmnopqrstuvwxyzABC"))

_BERT: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "vocab_size": 512,
    "max_position_embeddings": LIMIT,
}
_ROBERTA = _BERT | {"max_position_embeddings": LIMIT + 2, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
_SPECIALS = {"pad_token_id": 1, "bos_token_id": 0, "cls_token_id": 0, "eos_token_id": 2, "sep_token_id": 2}
_DEBERTA_V3 = {
    "relative_attention": True,
    "position_buckets": 8,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "max_relative_positions": -1,
    "type_vocab_size": 0,
}
# family -> model type, tokenizer, configuration
_FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("bert", "wordpiece", _BERT),
    "roberta": ("roberta", "bpe", _ROBERTA),
    "distilbert": (
        "distilbert",
        "wordpiece",
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "vocab_size": 512, "max_position_embeddings": LIMIT},
    ),
    "deberta": ("deberta", "bpe", _BERT | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}),
    "deberta-v2": ("deberta-v2", "unigram", _BERT),
    "deberta-v3": ("deberta-v2", "unigram", _BERT | _DEBERTA_V3),
    "electra": ("electra", "wordpiece", _BERT | {"embedding_size": 8}),
    "modernbert": ("modernbert", "bpe", _BERT | _SPECIALS | {"global_attn_every_n_layers": 2, "local_attention": 8}),
    "xlm-roberta": ("xlm-roberta", "unigram", _ROBERTA),
}


@dataclass(frozen=True)
class Family:
    """One family: how to make its encoders and indexers.

    Attributes:
        name: what people call it.
        config: of a tiny random model.
        tokenizer: folder of a tokenizer.
    """

    name: str
    config: PreTrainedConfig
    tokenizer: Path

    def spec(self, **more: Any) -> TransformerEncoderSpec:
        """The spec of an encoder of the family; dropout is off."""
        data = {"kind": "transformer", "pretrained": str(self.tokenizer), "dropout": 0.0, "overlap": 4, **more}
        if data.get("characters") is True:
            data["characters"] = {"kind": "cnn", "dim": 4, "width": 6, "dropout": 0.0}
        return TransformerEncoderSpec.parse(data, source="test")

    def backbone(self) -> PreTrainedModel:
        """A model with random weights, in evaluation mode."""
        return build_backbone(self.config).eval()

    def encoder(self, **more: Any) -> TransformerEncoder:
        """An encoder with random weights, in evaluation mode."""
        sizes = InventorySizes(characters=len(CHARACTERS))
        encoder = build_encoder(self.spec(**more), backbone=self.config, sizes=sizes)
        assert isinstance(encoder, TransformerEncoder)
        return encoder.eval()

    def indexer(self, **more: Any) -> Indexer:
        """The indexer of that encoder."""
        spec = self.spec(**more)
        pieces = PieceTokenizer(load_tokenizer(str(self.tokenizer)), limit=piece_limit(spec, self.config))
        characters = CharacterIndexer(CHARACTERS, max_length=8) if spec.characters else None
        return Indexer(pieces=PieceIndexer(pieces, overlap=spec.overlap), characters=characters, letter_cases=spec.case)


@pytest.fixture(scope="session")
def make_family(tiny_tokenizers: Path) -> Callable[[str], Family]:
    """A family by name."""

    def make(name: str) -> Family:
        kind, tokenizer, values = _FAMILIES[name]
        return Family(name, AutoConfig.for_model(kind, **values), tiny_tokenizers / tokenizer)

    return make


@pytest.fixture(params=list(_FAMILIES))
def family(request: pytest.FixtureRequest, make_family: Callable[[str], Family]) -> Family:
    """Every family in turn."""
    return make_family(request.param)


@pytest.fixture
def bert(make_family: Callable[[str], Family]) -> Family:
    """One family, where any will do."""
    return make_family("bert")
