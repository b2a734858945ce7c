"""Pretrained word vectors into a new model.

V words of the vocabulary, E values of an embedding.
"""

from collections.abc import Sequence

import torch

from seqmtl.data.vocabulary import Vocabulary
from seqmtl.encoders.bilstm import BiLSTMEncoder
from seqmtl.encoders.word_vectors import first_words, read_vectors
from seqmtl.errors import DataError
from seqmtl.specs.encoders import BiLSTMEncoderSpec, EncoderSpec


def words_of_vectors(spec: EncoderSpec) -> list[str]:
    """The words of the vector file that the model knows beside those of training; none without such a file.

    Raises:
        DataError: the file cannot be read, or has vectors of another size.
    """
    if not isinstance(spec, BiLSTMEncoderSpec) or spec.vectors is None:
        return []
    return first_words(spec.vectors, dim=spec.word_dim, count=spec.vectors_vocabulary)


def load_vectors(
    encoder: BiLSTMEncoder, spec: BiLSTMEncoderSpec, *, vocabulary: Vocabulary, sentences: Sequence[Sequence[str]]
) -> None:
    """Overwrite the embeddings ``[V, E]`` of the words that the vector file holds, as they are or in lower case.

    Args:
        encoder: whose embeddings.
        spec: names the file.
        vocabulary: the ids of the words.
        sentences: of the training rows.

    Raises:
        DataError: the file cannot be read, or holds no word of the sentences.
    """
    assert spec.vectors is not None
    # A capital letter must not cost a word its vector: many files hold lower case only.
    words = list(dict.fromkeys((*vocabulary.items, *map(str.lower, vocabulary.items))))
    wanted = {word: place for place, word in enumerate(words)}
    read = read_vectors(spec.vectors, dim=spec.word_dim, wanted=wanted)
    vectors = {words[place]: torch.from_numpy(vector) for place, vector in read}  # [E] each
    if not any(word in vectors or word.lower() in vectors for sentence in sentences for word in sentence):
        raise DataError(
            f"{spec.vectors}: holds no word of the training sentences; "
            "encoder.vectors must name word vectors of their language"
        )
    for word, number in vocabulary.ids.items():
        vector = vectors.get(word, vectors.get(word.lower()))
        if vector is not None:
            encoder.embedding.weight.data[number] = vector
