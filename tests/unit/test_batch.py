"""Batches move to a device as a whole."""

from dataclasses import fields

import torch
from torch import Tensor

from seqmtl.batch import Batch, CharacterInputs, FrameTargets, Inputs, Movable, PieceInputs, TokenTargets


def whole_batch() -> Batch:
    ones = torch.ones(1, 1, dtype=torch.long)
    return Batch(
        Inputs(
            word_mask=ones.bool(),
            word_ids=ones,
            pieces=PieceInputs(ones, ones.bool(), ones, ones.bool(), ones, ones),
            characters=CharacterInputs(ones, ones[0], ones),
            letter_cases=ones,
        ),
        {"pos": TokenTargets(ones[0], ones), "srl": FrameTargets(ones.expand(1, 2), ones)},
    )


def tensors(value: object) -> list[Tensor]:
    """Every tensor inside, found without the code that is tested."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        return [tensor for item in value.values() for tensor in tensors(item)]
    assert isinstance(value, Movable)
    return [tensor for field in fields(value) for tensor in tensors(getattr(value, field.name))]  # type: ignore[arg-type]


def test_every_tensor_moves():
    batch = whole_batch()
    moved = batch.to("meta")
    assert len(tensors(moved)) == len(tensors(batch)) == 16
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}


def test_every_tensor_is_pinned(monkeypatch):
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor.to("meta"))  # without an accelerator torch cannot
    assert {tensor.device.type for tensor in tensors(whole_batch().pin_memory())} == {"meta"}


def test_the_batch_itself_stays_where_it_is():
    batch = whole_batch()
    batch.to("meta")
    assert {tensor.device.type for tensor in tensors(batch)} == {"cpu"}


def test_parts_that_an_encoder_does_not_need_stay_none():
    moved = Inputs(word_mask=torch.ones(1, 1, dtype=torch.bool)).to("meta")
    assert moved.word_mask.is_meta
    assert moved.word_ids is None
    assert moved.pieces is None
    assert moved.characters is None
    assert moved.letter_cases is None


def test_sentences_without_anything_to_learn_do_not_teach_their_task():
    ones = torch.ones(2, 4, dtype=torch.long)
    assert TokenTargets(torch.tensor([0, 2]), ones).sentences(4).tolist() == [True, False, True, False]
    frames = FrameTargets(torch.tensor([[2, 0], [2, 3]]), ones)  # two predicates of one sentence
    assert frames.sentences(4).tolist() == [False, False, True, False]
    assert not FrameTargets(torch.zeros(0, 2, dtype=torch.long), ones[:0]).sentences(4).any()
