"""Specs to indexers, for a new model and for a saved one."""

from collections.abc import Sequence
from pathlib import Path

from transformers import PreTrainedConfig

from seqmtl.data.indexing import CharacterIndexer, Indexer, PieceIndexer, WordIndexer
from seqmtl.data.pieces import PieceTokenizer, load_tokenizer
from seqmtl.data.vocabulary import Vocabulary, count_vocabulary, extended, load_vocabularies
from seqmtl.errors import CheckpointError, EncoderError
from seqmtl.specs.encoders import CharacterSpec, EncoderSpec, TransformerEncoderSpec

# Families whose position ids start behind the padding id, so that the table is longer than the longest input.
OFFSET_POSITIONS = frozenset(
    (
        "camembert",
        "data2vec-text",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
        "xlm-roberta-xl",
    )
)
DEFAULT_LIMIT = 512  # for families whose positions have no end


def piece_limit(spec: TransformerEncoderSpec, backbone: PreTrainedConfig) -> int:
    """The longest input in pieces, special pieces included.

    Raises:
        EncoderError: when the recipe asks for more than the encoder can read.
    """
    table = getattr(backbone, "max_position_embeddings", None) or DEFAULT_LIMIT
    offset = (backbone.pad_token_id or 0) + 1 if backbone.model_type in OFFSET_POSITIONS else 0
    limit = table - offset if table > 0 else DEFAULT_LIMIT
    if spec.max_pieces is None:
        return limit
    if spec.max_pieces > limit:
        raise EncoderError(f"encoder.max_pieces: got {spec.max_pieces}, but {spec.pretrained!r} reads at most {limit}")
    return spec.max_pieces


def new_indexer(
    spec: EncoderSpec,
    *,
    backbone: PreTrainedConfig | None,
    sentences: Sequence[Sequence[str]],
    more_words: Sequence[str] = (),
) -> Indexer:
    """The indexer of a new model: a pretrained tokenizer, and vocabularies counted on the training sentences.

    Args:
        spec: the encoder's spec.
        backbone: shape of the transformer; None for an encoder without one.
        sentences: of the training rows.
        more_words: known although the sentences lack them, for an encoder that reads words.
    """
    characters = _character_indexer(spec.characters, _count_characters(spec.characters, sentences))
    if isinstance(spec, TransformerEncoderSpec):
        assert backbone is not None
        tokenizer = load_tokenizer(spec.pretrained, revision=spec.revision)
        pieces = PieceTokenizer(tokenizer, limit=piece_limit(spec, backbone))
        return Indexer(pieces=PieceIndexer(pieces, overlap=spec.overlap), characters=characters, letter_cases=spec.case)
    words = extended(count_vocabulary(sentences, min_count=spec.min_count), more_words)
    return Indexer(words=WordIndexer(words), characters=characters)


def load_indexer(spec: EncoderSpec, *, backbone: PreTrainedConfig | None, folder: Path) -> Indexer:
    """The indexer of a saved model.

    Raises:
        CheckpointError: when the folder lacks a vocabulary that the encoder needs.
        EncoderError: when the folder lacks the tokenizer.
    """
    needs_words = not isinstance(spec, TransformerEncoderSpec)
    words, characters = load_vocabularies(folder) if needs_words or spec.characters else (None, None)
    if (needs_words and words is None) or (spec.characters and characters is None):
        raise CheckpointError(f"{folder}: vocabulary.json lacks the words or characters that the encoder needs")
    character_indexer = _character_indexer(spec.characters, characters)
    if isinstance(spec, TransformerEncoderSpec):
        assert backbone is not None
        pieces = PieceTokenizer(load_tokenizer(str(folder)), limit=piece_limit(spec, backbone))
        return Indexer(
            pieces=PieceIndexer(pieces, overlap=spec.overlap), characters=character_indexer, letter_cases=spec.case
        )
    assert words is not None
    return Indexer(words=WordIndexer(words), characters=character_indexer)


def _count_characters(spec: CharacterSpec | None, sentences: Sequence[Sequence[str]]) -> Vocabulary | None:
    if spec is None:
        return None
    return count_vocabulary((word for sentence in sentences for word in sentence), min_count=2)


def _character_indexer(spec: CharacterSpec | None, vocabulary: Vocabulary | None) -> CharacterIndexer | None:
    if spec is None or vocabulary is None:
        return None
    return CharacterIndexer(vocabulary, max_length=spec.max_length)
