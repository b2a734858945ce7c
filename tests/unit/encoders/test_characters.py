"""Character models: each word alone, by hand, gives the same vector."""

import pytest
import torch
from torch import Tensor, nn

from seqmtl.batch import CharacterInputs
from seqmtl.data.indexing import CharacterIndexer
from seqmtl.data.vocabulary import Vocabulary
from seqmtl.encoders.build import build_characters
from seqmtl.encoders.characters import CharacterBiLSTM, CharacterCNN
from seqmtl.errors import ConfigError
from seqmtl.specs.encoders import BiLSTMEncoderSpec, CharacterCNNSpec, CharacterSpec

VOCABULARY = Vocabulary(tuple("abcdefgh"))
SENTENCES = [["a", "abba", "deadbeef"], [], ["x", "", "hag"]]


def parse(characters: dict[str, object]) -> CharacterSpec:
    encoder = BiLSTMEncoderSpec.parse({"kind": "bilstm", "characters": characters}, source="test")
    assert encoder.characters is not None
    return encoder.characters


def inputs(sentences: list[list[str]]) -> CharacterInputs:
    return CharacterIndexer(VOCABULARY, max_length=8)(sentences)


def cnn(kernel: int = 3) -> CharacterCNN:
    return CharacterCNN(len(VOCABULARY), dim=4, width=6, kernel=kernel, dropout=0.5).eval()


def bilstm() -> CharacterBiLSTM:
    return CharacterBiLSTM(len(VOCABULARY), dim=4, width=6, dropout=0.5).eval()


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
def test_a_convolution_equals_plain_python(kernel: int):
    model, batch = cnn(kernel), inputs(SENTENCES)
    weight, bias = model.convolution.weight, model.convolution.bias
    assert bias is not None
    for vector, ids, length in zip(model(batch), batch.ids, batch.lengths.tolist(), strict=True):
        edge = torch.zeros(kernel - 1, 4)
        padded = torch.cat((edge, model.embedding.weight[ids[:length]], edge))  # [C + 2 (kernel - 1), E]
        filters = [
            (weight * padded[start : start + kernel].T).sum(dim=(1, 2)) + bias for start in range(length + kernel - 1)
        ]
        torch.testing.assert_close(vector, torch.stack(filters).amax(dim=0).clamp(min=0))


def last_states(lstm: nn.LSTM, embedded: Tensor) -> Tensor:
    _, (hidden, _) = lstm(embedded[:, None])
    return hidden[0, 0]


def test_a_bilstm_equals_one_lstm_forth_and_one_back():
    model, batch = bilstm(), inputs(SENTENCES)
    for vector, ids, length in zip(model(batch), batch.ids, batch.lengths.tolist(), strict=True):
        embedded = model.embedding.weight[ids[:length]]
        expected = torch.cat(
            (
                last_states(model.lstm.forward_lstm, embedded),
                last_states(model.lstm.backward_lstm, embedded.flip(0)),
            )
        )
        torch.testing.assert_close(vector, expected)


@pytest.mark.parametrize("make", [cnn, bilstm])
def test_a_word_has_the_same_vector_in_any_company(make):
    model = make()
    long, short = inputs([["a", "deadbeef", "hag"]]), inputs([["a"]])
    torch.testing.assert_close(model(long)[long.word[0, 0]], model(short)[short.word[0, 0]])


@pytest.mark.parametrize("make", [cnn, bilstm])
def test_every_parameter_learns_and_padding_does_not(make):
    model = make()
    vectors = model(inputs(SENTENCES))
    (vectors * torch.randn(vectors.shape)).sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []
    assert not model.embedding.weight.grad[0].any()


def test_dropout_is_for_training():
    for model in (cnn(), bilstm()):
        assert torch.equal(model(inputs(SENTENCES)), model(inputs(SENTENCES)))
        model.train()
        assert not torch.equal(model(inputs(SENTENCES)), model(inputs(SENTENCES)))


@pytest.mark.parametrize(("kind", "expected"), [("cnn", CharacterCNN), ("bilstm", CharacterBiLSTM)])
def test_a_spec_describes_the_model(kind: str, expected: type):
    own = {"kernel": 2} if kind == "cnn" else {}
    model = build_characters(parse({"kind": kind, "dim": 5, "width": 8, "dropout": 0.25} | own), vocabulary=11)
    assert type(model) is expected
    assert model.embedding.weight.shape == (11, 5)
    assert model.dropout.p == 0.25
    assert model.out_features == 8
    batch = CharacterInputs(torch.tensor([[2, 3]]), torch.tensor([2]), torch.tensor([[0]]))
    assert model(batch).shape == (1, 8)
    if isinstance(model, CharacterCNN):
        assert model.convolution.kernel_size == (2,)


def test_a_bilstm_of_odd_width_is_an_error():
    with pytest.raises(ConfigError, match=r"characters\.width: got 7; .*multiple of 2"):
        parse({"kind": "bilstm", "width": 7})
    assert parse({"kind": "cnn", "width": 7}).width == 7


def test_a_kernel_is_for_convolutions_and_a_kind_is_needed():
    with pytest.raises(ConfigError, match=r"characters\.kernel: unknown key"):
        parse({"kind": "bilstm", "kernel": 3})
    with pytest.raises(ConfigError, match="characters: needs the key 'kind'"):
        parse({"width": 8})
    assert BiLSTMEncoderSpec(kind="bilstm").characters == CharacterCNNSpec()
