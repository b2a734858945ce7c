"""Sentences to the index tensors that an encoder reads.

B sentences, T words, W windows, P pieces, U distinct words, C characters.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqmtl.batch import PAD, UNKNOWN, CharacterInputs, Inputs, LetterCase, PieceInputs
from seqmtl.data.alignment import Window, windows
from seqmtl.data.letter_case import letter_case
from seqmtl.data.pieces import REMEMBERED, PieceTokenizer
from seqmtl.data.vocabulary import Vocabulary, save_vocabularies

Sentences = Sequence[Sequence[str]]


class CharacterIndexer:
    """Words to character ids, each distinct word of a batch once."""

    def __init__(self, vocabulary: Vocabulary, *, max_length: int) -> None:
        """Words longer than ``max_length`` characters keep their two ends, where case and inflection are."""
        self.vocabulary = vocabulary
        self.max_length = max_length
        self._known: dict[str, list[int]] = {}

    def __getstate__(self) -> dict[str, Any]:  # as of a PieceTokenizer
        return {**self.__dict__, "_known": {}}

    def __call__(self, sentences: Sentences) -> CharacterInputs:
        """Index the spelling of every word."""
        position: dict[str, int] = {"": 0}  # padding reads the spelling of the empty word
        longest = max(map(len, sentences), default=0)
        word = np.zeros((len(sentences), longest), dtype=np.int64)  # [B, T]
        for row, sentence in zip(word, sentences, strict=True):
            row[: len(sentence)] = [position.setdefault(token, len(position)) for token in sentence]
        spellings = [self._ids(token) for token in position]
        lengths = torch.tensor([len(ids) for ids in spellings])
        return CharacterInputs(_padded(spellings, value=PAD), lengths, torch.from_numpy(word))

    def _ids(self, word: str) -> list[int]:
        ids = self._known.get(word)
        if ids is None:
            if len(word) > self.max_length:
                head = self.max_length // 2
                shown = word[:head] + word[len(word) - (self.max_length - head) :]
            else:
                shown = word
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            ids = self._known[word] = [self.vocabulary.id(character) for character in shown] or [UNKNOWN]
        return ids


class PieceIndexer:
    """Sentences to windows of sub-words."""

    def __init__(self, tokenizer: PieceTokenizer, *, overlap: int) -> None:
        """Neighbouring windows of a long sentence share about ``overlap`` pieces."""
        self.tokenizer = tokenizer
        self.overlap = overlap

    def __call__(self, sentences: Sentences) -> PieceInputs:
        """Cut, pad and align a batch; see ``PieceInputs``."""
        n_words = max(map(len, sentences), default=0)
        first = np.zeros((len(sentences), n_words), dtype=np.int64)  # [B, T]
        last = np.zeros((len(sentences), n_words), dtype=np.int64)  # [B, T]
        cuts = [self._windows(sentence) for sentence in sentences]
        shapes = [sum(len(piece) for piece in pieces[w.start : w.stop]) for pieces, ws in cuts for w in ws]
        # A batch of empty sentences still makes one window, so that the encoder has something to read.
        width = max(shapes, default=0) + len(self.tokenizer.prefix) + len(self.tokenizer.suffix)
        ids = np.full((max(1, len(shapes)), max(1, width)), self.tokenizer.pad_id, dtype=np.int64)  # [W, P]
        length = np.zeros(len(ids), dtype=np.int64)  # [W]
        word = np.full(ids.shape, -1, dtype=np.int64)  # [W, P]
        owned = np.zeros(ids.shape, dtype=bool)  # [W, P]
        row = 0
        for b, (pieces, ws) in enumerate(cuts):
            for window in ws:
                length[row] = self._fill(ids[row], word[row], owned[row], pieces, window, offset=b * n_words)
                row += 1
        if not shapes:
            special = [*self.tokenizer.prefix, *self.tokenizer.suffix] or [self.tokenizer.pad_id]
            ids[0, : len(special)] = special
            length[0] = len(special)
        places = np.flatnonzero(owned)
        owner = word.reshape(-1)[places]
        # Pieces of one word are neighbours: written in descending order the first stays, in ascending order the last.
        first.reshape(-1)[owner[::-1]] = places[::-1]
        last.reshape(-1)[owner] = places
        mask = np.arange(ids.shape[1]) < length[:, None]
        return PieceInputs(*(torch.from_numpy(array) for array in (ids, mask, word, owned, first, last)))

    def length(self, sentence: Sequence[str]) -> int:
        """Pieces of a sentence, special ones included."""
        return sum(map(len, self.tokenizer.pieces(sentence))) + len(self.tokenizer.prefix) + len(self.tokenizer.suffix)

    def _windows(self, sentence: Sequence[str]) -> tuple[list[tuple[int, ...]], list[Window]]:
        pieces = self.tokenizer.pieces(sentence)
        return pieces, windows([len(piece) for piece in pieces], capacity=self.tokenizer.capacity, overlap=self.overlap)

    def _fill(
        self,
        ids: np.ndarray,
        word: np.ndarray,
        owned: np.ndarray,
        pieces: list[tuple[int, ...]],
        window: Window,
        *,
        offset: int,
    ) -> int:
        """Write one window into its rows ``[P]`` of the batch; return its length."""
        inside = pieces[window.start : window.stop]
        counts = [len(piece) for piece in inside]
        flat = [piece for word_pieces in inside for piece in word_pieces]
        start = len(self.tokenizer.prefix)
        stop = start + len(flat)
        end = stop + len(self.tokenizer.suffix)
        ids[:end] = [*self.tokenizer.prefix, *flat, *self.tokenizer.suffix]
        numbers = np.repeat(np.arange(window.start, window.stop), counts)
        word[start:stop] = numbers + offset
        owned[start:stop] = (numbers >= window.owned_start) & (numbers < window.owned_stop)
        return end


class WordIndexer:
    """Sentences to ids in a word vocabulary; a word is looked up as it is, then in lower case."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Look words up in ``vocabulary``."""
        self.vocabulary = vocabulary

    def __call__(self, sentences: Sentences) -> Tensor:
        """Word ids, 0 where padded, ``[B, T]``."""
        known = self.vocabulary.ids
        ids = [[known.get(w) or known.get(w.lower(), UNKNOWN) for w in sentence] for sentence in sentences]
        return _padded(ids, value=PAD)


class Indexer:
    """All that an encoder reads of a sentence: the parts that this encoder needs."""

    def __init__(
        self,
        *,
        words: WordIndexer | None = None,
        pieces: PieceIndexer | None = None,
        characters: CharacterIndexer | None = None,
        letter_cases: bool = False,
    ) -> None:
        """Compose the indexers; at least one of ``words`` and ``pieces`` is given."""
        assert words is not None or pieces is not None
        self.words = words
        self.pieces = pieces
        self.characters = characters
        self.letter_cases = letter_cases

    def __call__(self, sentences: Sentences) -> Inputs:
        """Index a batch of sentences, each a sequence of words; an empty sentence is legal."""
        lengths = torch.tensor([len(sentence) for sentence in sentences], dtype=torch.long)
        width = int(lengths.max()) if len(sentences) else 0
        return Inputs(
            word_mask=torch.arange(width) < lengths[:, None],  # [B, T]
            word_ids=self.words(sentences) if self.words else None,
            pieces=self.pieces(sentences) if self.pieces else None,
            characters=self.characters(sentences) if self.characters else None,
            letter_cases=index_letter_cases(sentences) if self.letter_cases else None,
        )

    def length(self, sentence: Sequence[str]) -> int:
        """What a sentence costs: its pieces where the encoder reads pieces, else its words."""
        return self.pieces.length(sentence) if self.pieces else len(sentence)

    def save_pretrained(self, folder: Path) -> None:
        """Write the tokenizer and the vocabularies beside the weights."""
        if self.pieces is not None:
            self.pieces.tokenizer.tokenizer.save_pretrained(folder)
        if self.words is not None or self.characters is not None:
            save_vocabularies(
                folder,
                words=self.words.vocabulary if self.words else None,
                characters=self.characters.vocabulary if self.characters else None,
            )


def index_letter_cases(sentences: Sentences) -> Tensor:
    """How each word is capitalised, 0 where padded, ``[B, T]``."""
    return _padded([[letter_case(word) for word in sentence] for sentence in sentences], value=LetterCase.PADDING)


def _padded(sequences: Sequence[Sequence[int]], *, value: int) -> Tensor:
    """Right-pad integer sequences, ``[n, longest]``."""
    longest = max(map(len, sequences), default=0)
    array = np.full((len(sequences), longest), value, dtype=np.int64)
    for row, sequence in zip(array, sequences, strict=True):
        row[: len(sequence)] = sequence
    return torch.from_numpy(array)


def vocabularies(indexer: Indexer) -> dict[str, dict[str, int]]:
    """The number of every word, piece and character that ``indexer`` knows, by kind; empty where it reads none."""
    return {
        "words": indexer.words.vocabulary.ids if indexer.words else {},
        "pieces": indexer.pieces.tokenizer.tokenizer.get_vocab() if indexer.pieces else {},
        "characters": indexer.characters.vocabulary.ids if indexer.characters else {},
    }
