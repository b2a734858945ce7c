"""The closed inventories of the BiLSTM encoder and of the character model, kept as one JSON file beside the weights."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from seqmtl.batch import PAD, UNKNOWN
from seqmtl.errors import CheckpointError

N_SPECIAL = len((PAD, UNKNOWN))  # ids below this are not in the inventory
FILE_NAME = "vocabulary.json"


@dataclass(frozen=True)
class Vocabulary:
    """An ordered inventory of items; id 0 is padding, id 1 the unknown item.

    >>> words = Vocabulary(("the", "dog"))
    >>> words.id("dog"), words.id("cat"), len(words)
    (3, 1, 4)
    """

    items: tuple[str, ...]

    @cached_property
    def ids(self) -> dict[str, int]:
        """Each item's id."""
        return {item: number + N_SPECIAL for number, item in enumerate(self.items)}

    def id(self, item: str) -> int:
        """The id of ``item``, or that of the unknown item."""
        return self.ids.get(item, UNKNOWN)

    def __len__(self) -> int:
        """Ids in use, padding and the unknown item included."""
        return len(self.items) + N_SPECIAL


def count_vocabulary(sentences: Iterable[Sequence[str]], *, min_count: int) -> Vocabulary:
    """Items that occur at least ``min_count`` times, the most frequent first, ties by name."""
    counts = Counter(item for sentence in sentences for item in sentence)
    kept = [item for item, count in counts.items() if count >= min_count]
    return Vocabulary(tuple(sorted(kept, key=lambda item: (-counts[item], item))))


def extended(vocabulary: Vocabulary, items: Iterable[str]) -> Vocabulary:
    """The vocabulary with ``items`` behind its own, each once.

    >>> extended(Vocabulary(("the", "dog")), ["a", "the"]).items
    ('the', 'dog', 'a')
    """
    return Vocabulary(tuple(dict.fromkeys((*vocabulary.items, *items))))


def save_vocabularies(folder: Path, *, words: Vocabulary | None, characters: Vocabulary | None) -> None:
    """Write what there is to ``vocabulary.json``."""
    present = {"words": words, "characters": characters}
    content = {key: value.items for key, value in present.items() if value is not None}
    # ASCII with escapes: a half of a surrogate pair, which broken corpora hold, has no other form in a file.
    (folder / FILE_NAME).write_text(json.dumps(content), encoding="utf-8")


def load_vocabularies(folder: Path) -> tuple[Vocabulary | None, Vocabulary | None]:
    """Read the words and characters of a checkpoint.

    Raises:
        CheckpointError: when the file is missing or is not what ``save_vocabularies`` writes.
    """
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = {
            key: Vocabulary(tuple(map(str, content[key]))) if key in content else None
            for key in ("words", "characters")
        }
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file; a checkpoint of this encoder carries one") from None
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: not a vocabulary file: {error}") from None
    return found["words"], found["characters"]
