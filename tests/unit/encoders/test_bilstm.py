"""The BiLSTM encoder: words and spelling side by side, whatever stands beside the sentence."""

import pytest
import torch
from torch import nn

from seqmtl.batch import UNKNOWN
from seqmtl.data.indexing import CharacterIndexer, Indexer, WordIndexer
from seqmtl.data.vocabulary import Vocabulary
from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN

WORDS = Vocabulary(("the", "dog", "barks", "at"))
CHARACTERS = Vocabulary(tuple("abdeghkorst"))
BATCH = [["the", "dog", "barks"], [], ["dogs"], ["\u200b", "😀", "שלום", "the" * 4000], ["The", "dog"] * 10]


def spelling(kind: str | None) -> CharacterCNN | CharacterBiLSTM | None:
    if kind is None:
        return None
    if kind == "cnn":
        return CharacterCNN(len(CHARACTERS), dim=4, width=6, kernel=3, dropout=0.0)
    return CharacterBiLSTM(len(CHARACTERS), dim=4, width=6, dropout=0.0)


def encoder(
    kind: str | None = "cnn", *, layers: int = 2, dropout: float = 0.0, word_dropout: float = 0.0
) -> BiLSTMEncoder:
    embedding = nn.Embedding(len(WORDS), 5, padding_idx=0)
    return BiLSTMEncoder(
        embedding, characters=spelling(kind), width=8, layers=layers, dropout=dropout, word_dropout=word_dropout
    )


@pytest.fixture
def index() -> Indexer:
    return Indexer(words=WordIndexer(WORDS), characters=CharacterIndexer(CHARACTERS, max_length=6))


@pytest.mark.parametrize("kind", [None, "cnn", "bilstm"])
@pytest.mark.parametrize("layers", [0, 1, 2])
def test_a_sentence_has_the_same_states_in_any_company(index: Indexer, kind: str | None, layers: int):
    model = encoder(kind, layers=layers)
    together = model(index(BATCH))
    assert together.states.shape == (5, 20, model.out_features)
    for number, sentence in enumerate(BATCH):
        alone = model(index([sentence]))
        assert alone.mask.shape == (1, len(sentence))
        torch.testing.assert_close(together.states[number, : len(sentence)], alone.states[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(("kind", "features"), [(None, 5), ("cnn", 11), ("bilstm", 11)])
def test_without_layers_states_are_the_embeddings_beside_the_spelling(index: Indexer, kind: str | None, features: int):
    model, inputs = encoder(kind, layers=0), index(BATCH)
    assert model.out_features == features
    states = model(inputs).states
    assert inputs.word_ids is not None
    assert inputs.characters is not None
    torch.testing.assert_close(states[..., :5], model.embedding.weight[inputs.word_ids])
    if model.characters is not None:
        vectors = model.characters(inputs.characters)
        for b, sentence in enumerate(BATCH):
            for t in range(len(sentence)):
                torch.testing.assert_close(states[b, t, 5:], vectors[inputs.characters.word[b, t]])


def test_layers_read_the_sentence_in_both_directions(index: Indexer):
    model = encoder(layers=1)
    base = model(index([["the", "dog", "barks"]])).states[0]
    last = model(index([["the", "dog", "at"]])).states[0]
    first = model(index([["at", "dog", "barks"]])).states[0]
    forth, back = slice(0, 4), slice(4, 8)
    torch.testing.assert_close(base[:2, forth], last[:2, forth])
    assert not torch.allclose(base[0, back], last[0, back])
    torch.testing.assert_close(base[1:, back], first[1:, back])
    assert not torch.allclose(base[2, forth], first[2, forth])


@pytest.mark.parametrize("kind", [None, "cnn", "bilstm"])
def test_every_parameter_learns(index: Indexer, kind: str | None):
    model = encoder(kind, dropout=0.3, word_dropout=0.1).train()
    states = model(index(BATCH)).states
    (states * torch.randn(states.shape)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    grad = model.embedding.weight.grad
    assert grad is not None
    assert not grad[0].any(), "padding learns nothing"


def test_words_are_dropped_in_training_only(index: Indexer):
    model, inputs = encoder(None, layers=0, word_dropout=0.5), index([["the", "dog"] * 200])
    known = model.eval()(inputs).states
    assert inputs.word_ids is not None
    torch.testing.assert_close(known, model.embedding.weight[inputs.word_ids])
    dropped = (model.train()(inputs).states == model.embedding.weight[UNKNOWN]).all(dim=-1)
    assert 0.4 < dropped.float().mean() < 0.6


def test_a_sentence_of_5000_words_is_encoded(index: Indexer):
    assert encoder()(index([["the", "dog"] * 2500, ["dog"]])).states.isfinite().all()


@pytest.mark.parametrize("sentences", [[[]], [[], []]])
@pytest.mark.parametrize("layers", [0, 2])
def test_batches_without_words_have_states_without_words(index: Indexer, sentences: list, layers: int):
    model = encoder(layers=layers)
    assert model(index(sentences)).states.shape == (len(sentences), 0, model.out_features)
