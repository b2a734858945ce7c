"""What flows from the data to the model: index tensors of one batch, and nothing but tensors.

B sentences, T words of the longest; W windows, P pieces of the longest; U distinct words, C characters of the longest;
R rows that carry a task's layer; N predicates.

Two index spaces, two vocabularies: ``word_*`` and ``piece_*``. Masks are bool, True = real.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any, Self

import torch
from torch import Tensor

PAD, UNKNOWN = 0, 1  # ids in every vocabulary of words or characters; its own items come after them
IGNORED = -100  # label of a padded word, the value that torch.nn.functional.cross_entropy skips


class LetterCase(IntEnum):
    """The capitalisation features of Collobert et al. (2011, section 6.1), finer by one-letter words and by digits."""

    PADDING = 0
    LOWER = 1
    CAPITAL = 2
    UPPER = 3
    TITLE = 4
    MIXED = 5
    DIGITS = 6
    OTHER = 7


class Movable:
    """A dataclass whose tensors move to a device together."""

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Self:
        """Return a copy with every tensor on ``device``."""
        return self._moved(lambda value: value.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Self:
        """Return a copy in memory from which an accelerator fetches by itself, while the processor goes on."""
        return self._moved(lambda value: value.pin_memory())

    def _moved(self, move: Callable[[Any], Any]) -> Self:
        moved = {}
        for field in fields(self):  # type: ignore[arg-type]  # the subclasses are dataclasses
            value = getattr(self, field.name)
            if isinstance(value, Tensor | Movable):
                moved[field.name] = move(value)
            elif isinstance(value, Mapping):
                moved[field.name] = {key: move(item) for key, item in value.items()}
        return replace(self, **moved)  # type: ignore[type-var]


@dataclass(frozen=True)
class PieceInputs(Movable):
    """The sub-words of a batch, cut into windows that fit the encoder.

    Attributes:
        ids: piece ids, ``[W, P]``.
        mask: ``[W, P]``.
        word: index of each piece's word into the flattened ``[B * T]``; -1 at special pieces and padding; ``[W, P]``.
        owned: True where the word takes its state from this window (a word may stand in two); ``[W, P]``.
        first: index of each word's first owned piece into the flattened ``[W * P]``; 0 where padded; ``[B, T]``.
        last: the same for its last owned piece; ``[B, T]``.
    """

    ids: Tensor
    mask: Tensor
    word: Tensor
    owned: Tensor
    first: Tensor
    last: Tensor


@dataclass(frozen=True)
class CharacterInputs(Movable):
    """The spelling of a batch's words, each distinct word once.

    Attributes:
        ids: character ids, 0 where padded, ``[U, C]``.
        lengths: ``[U]``, at least 1.
        word: index of each word's spelling, ``[B, T]``.
    """

    ids: Tensor
    lengths: Tensor
    word: Tensor


@dataclass(frozen=True)
class Inputs(Movable):
    """The sentences of a batch as an encoder reads them; a part that the encoder does not need is None.

    Attributes:
        word_mask: ``[B, T]``, right-padded.
        word_ids: ids in a word vocabulary, ``[B, T]``.
        pieces: sub-words.
        characters: spellings.
        letter_cases: how each word is capitalised, a ``LetterCase``, ``[B, T]``.
    """

    word_mask: Tensor
    word_ids: Tensor | None = None
    pieces: PieceInputs | None = None
    characters: CharacterInputs | None = None
    letter_cases: Tensor | None = None


@dataclass(frozen=True)
class WordStates:
    """Hidden states of words.

    Attributes:
        states: ``[B, T, D]``; what stands at padded words means nothing.
        mask: True at real words, ``[B, T]``.
    """

    states: Tensor
    mask: Tensor

    def words(self) -> "WordStates":
        """These states."""
        return self


@dataclass(frozen=True)
class BlockCall:
    """What a pretrained transformer hands to one of its blocks beside the hidden states: masks, positions.

    Attributes:
        arguments: positional.
        options: by name.
    """

    arguments: tuple[Any, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True)
class PieceStates:
    """Hidden states of pieces, which whoever needs words pools: a scheme that shares between pieces pools last.

    Attributes:
        states: ``[W, P, D]``; what stands at padded pieces means nothing.
        pieces: where the pieces stand.
        mask: True at real words, ``[B, T]``.
        pool: states of pieces ``[W, P, D]`` to states of words ``[B, T, D]``.
        calls: one for each block that the encoder leaves to the towers, lowest first.
        layers: the embeddings and what each block makes of them, ``[W, P, D]`` each, for a scheme that mixes layers.
    """

    states: Tensor
    pieces: PieceInputs
    mask: Tensor
    pool: Callable[[Tensor], Tensor]
    calls: tuple[BlockCall, ...] = ()
    layers: tuple[Tensor, ...] = ()

    def words(self) -> WordStates:
        """The pooled states."""
        return WordStates(self.pool(self.states), self.mask)


States = WordStates | PieceStates


@dataclass(frozen=True)
class TokenTargets(Movable):
    """Gold labels of the rows that carry a token-level layer.

    Attributes:
        rows: index into the batch, ascending, ``[R]``.
        labels: label ids, ``IGNORED`` where padded, ``[R, T]``.
    """

    rows: Tensor
    labels: Tensor

    def sentences(self, batch: int) -> Tensor:
        """Which of the ``batch`` sentences carry the layer, bool ``[B]``."""
        return self.rows.new_zeros(batch, dtype=torch.bool).index_fill(0, self.rows, True)


@dataclass(frozen=True)
class FrameTargets(Movable):
    """Gold roles of the predicates of a batch.

    Attributes:
        predicates: (sentence, word) of each predicate, ``[N, 2]``.
        labels: label ids, ``IGNORED`` where padded, ``[N, T]``.
    """

    predicates: Tensor
    labels: Tensor

    def sentences(self, batch: int) -> Tensor:
        """Which of the ``batch`` sentences have a predicate, bool ``[B]``."""
        return self.predicates.new_zeros(batch, dtype=torch.bool).index_fill(0, self.predicates[:, 0], True)


Targets = TokenTargets | FrameTargets


@dataclass(frozen=True)
class Batch(Movable):
    """Sentences and what is known about them.

    Attributes:
        inputs: what the encoder reads.
        targets: gold labels per task; a task without a row in the batch has empty targets.
    """

    inputs: Inputs
    targets: Mapping[str, Targets]
