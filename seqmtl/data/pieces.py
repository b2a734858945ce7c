"""Words to sub-word ids through a pretrained tokenizer, each distinct word once."""

from collections.abc import Iterable
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from seqmtl.errors import EncoderError
from seqmtl.specs.packages import cannot_load, locate

REMEMBERED = 2**17  # words, some 30 MB: more than most corpora have, and a bound for texts without end
LONGEST = 100  # characters of a word that is remembered: longer ones seldom come again


class PieceTokenizer:
    """A fast ``transformers`` tokenizer, asked word by word; what it said of words of usual length is remembered.

    A word is tokenised as if it stood alone after a space, which is what ``is_split_into_words=True`` does; so a word
    has the same pieces everywhere, and a corpus costs one look-up per word. Byte-level tokenizers that do not put that
    space themselves (ModernBERT's, RoBERTa's) are given it. A word without any piece (zero-width characters, or a
    character that the normaliser drops) becomes the unknown piece: no word is ever lost.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, *, limit: int) -> None:
        """Wrap ``tokenizer`` of an encoder that reads at most ``limit`` pieces, special pieces included."""
        self.tokenizer = tokenizer
        self.prefix, self.suffix = _special_ids(tokenizer)
        self.capacity = limit - len(self.prefix) - len(self.suffix)
        self.pad_id = _id_or(tokenizer.pad_token_id, 0)
        self.unknown_id = _id_or(tokenizer.unk_token_id, self.pad_id)
        self._lead = _lead(tokenizer)
        self._known: dict[str, tuple[int, ...]] = {}

    def __getstate__(self) -> dict[str, Any]:  # what is remembered is no part of what this is, for copies and hashes
        return {**self.__dict__, "_known": {}}

    def pieces(self, words: Iterable[str]) -> list[tuple[int, ...]]:
        """The piece ids of each word, at least one and at most ``capacity``."""
        words, known = list(words), self._known
        new = list(dict.fromkeys(word for word in words if word not in known))
        if new and len(known) + len(new) > REMEMBERED:
            known = self._known = {}  # another one, since another thread may be reading the former
            new = list(dict.fromkeys(words))
        found = self._tokenised(new) if new else {}
        known |= {word: ids for word, ids in found.items() if len(word) <= LONGEST}
        return [known.get(word) or found[word] for word in words]

    def _tokenised(self, words: list[str]) -> dict[str, tuple[int, ...]]:
        """The piece ids of each word, asked of the tokenizer."""
        texts = [self._lead + _well_formed(word) for word in words]
        # Not verbose: it would warn of words longer than the encoder's limit, which are cut here.
        encoded: Any = self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)
        return {
            word: tuple(ids[: self.capacity]) or (self.unknown_id,)
            for word, ids in zip(words, encoded["input_ids"], strict=True)
        }


def load_tokenizer(pretrained: str, *, revision: str | None = None) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer of an encoder.

    Raises:
        EncoderError: when there is no such tokenizer, or only a slow one.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(locate(pretrained), revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(cannot_load("tokenizer", pretrained, error)) from None
    if not tokenizer.is_fast:
        raise EncoderError(f"{pretrained}: has only a slow tokenizer; a `tokenizer.json` is needed")
    # Without any file, transformers makes a tokenizer that knows nothing but its special pieces.
    if len(tokenizer) <= len(tokenizer.all_special_ids):
        raise EncoderError(f"{pretrained}: its tokenizer knows no pieces; a `tokenizer.json` is needed")
    return tokenizer


def _id_or(piece_id: Any, default: int) -> int:
    return default if piece_id is None else int(piece_id)


def _well_formed(word: str) -> str:
    """The word as a tokenizer accepts it: halves of surrogate pairs, which JSON may hold, joined or replaced."""
    return word.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _lead(tokenizer: PreTrainedTokenizerBase) -> str:
    """A space where the tokenizer marks words by the space before them and puts none before the first; else nothing."""
    one: Any = tokenizer("a", add_special_tokens=False)
    two: Any = tokenizer("a a", add_special_tokens=False)
    return "" if two["input_ids"] == 2 * one["input_ids"] else " "


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """The special pieces that the tokenizer puts before and after a sentence."""
    plain: Any = tokenizer("a", add_special_tokens=False)
    whole: Any = tokenizer("a")
    inner, outer = plain["input_ids"], whole["input_ids"]
    for start in range(len(outer) - len(inner) + 1):
        if outer[start : start + len(inner)] == inner:
            return outer[:start], outer[start + len(inner) :]
    return [], []
