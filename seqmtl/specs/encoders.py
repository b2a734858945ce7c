"""What an encoder is: where word states come from."""

from typing import Annotated, Literal

from pydantic import Field

from seqmtl.specs.base import Spec

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


class CommonCharacters(Spec):
    """The keys that every character model understands."""

    dim: int = Field(default=32, ge=1, description="size of a character embedding")
    max_length: int = Field(default=24, ge=4, description="longer words keep their two ends")
    dropout: Probability = 0.1


class CharacterCNNSpec(CommonCharacters):
    """A word's spelling as a vector, by a convolution (Ma and Hovy 2016)."""

    kind: Literal["cnn"] = "cnn"
    width: int = Field(default=96, ge=1, description="size of the word's character vector")
    kernel: int = Field(default=3, ge=1, description="characters that a filter sees")


class CharacterBiLSTMSpec(CommonCharacters):
    """A word's spelling as a vector, by a BiLSTM (Lample et al. 2016)."""

    kind: Literal["bilstm"] = "bilstm"
    width: int = Field(
        default=96, ge=2, multiple_of=2, description="size of the word's character vector, both directions together"
    )


CharacterSpec = Annotated[CharacterCNNSpec | CharacterBiLSTMSpec, Field(discriminator="kind")]


class LoRASpec(Spec):
    """Low-rank adapters beside linear maps of a pretrained transformer, which train in its place (Hu et al. 2022).

    They learn at ``training.learning_rates.encoder``. The checkpoint has them merged into the weights.
    """

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1, description="updates are scaled by alpha / rank")
    dropout: Probability = Field(default=0.05, description="of what an adapter reads")
    modules: tuple[str, ...] | None = Field(
        default=None, min_length=1, description="ends of the names of linear maps, as query; null: all of each block"
    )


class TransformerEncoderSpec(Spec):
    """Any pretrained ``AutoModel``, its sub-word states pooled to words.

    ``pretrained`` is a hub id, a folder, or ``package:NAME/FOLDER`` for weights inside an installed Python package.
    """

    kind: Literal["transformer"]
    pretrained: str
    revision: str | None = None
    pooling: Literal["first", "mean", "last"] = "first"
    scalar_mix: bool = Field(default=False, description="learned mixture of all layers (Peters et al. 2018)")
    trainable_layers: int | None = Field(default=None, ge=0, description="fine-tune the top n layers only; null: all")
    lora: LoRASpec | None = Field(
        default=None,
        description="freeze the encoder but for adapters in the blocks that would train; blocks of towers train whole",
    )
    gradient_checkpointing: bool = False
    max_pieces: int | None = Field(
        default=None, ge=8, description="window size in sub-words; null: the encoder's limit"
    )
    overlap: int = Field(default=64, ge=0, description="sub-words that neighbouring windows share")
    characters: CharacterSpec | None = Field(
        default=None, description="spelling added to the sub-word embeddings: an uncased encoder sees case again"
    )
    case: bool = Field(
        default=False, description="letter case added to the sub-word embeddings, for an uncased encoder"
    )
    dropout: Probability = Field(default=0.1, description="of the states of words")
    inner_dropout: Probability | None = Field(
        default=None, description="everywhere inside the pretrained transformer; null: as it was pretrained"
    )


class BiLSTMEncoderSpec(Spec):
    """Word embeddings and characters, then a stack of BiLSTMs; ``layers: 0`` leaves the recurrence to the towers."""

    kind: Literal["bilstm"]
    word_dim: int = Field(default=100, ge=1)
    vectors: str | None = Field(
        default=None,
        description="GloVe or word2vec text file; a path, or package:NAME/FILE; its dimension must be word_dim",
    )
    vectors_vocabulary: int = Field(
        default=50_000,
        ge=0,
        description="the first n words of the vector file are known although training lacks them",
    )
    min_count: int = Field(default=2, ge=1, description="rarer training words are unknown words")
    word_dropout: Probability = Field(
        default=0.05, description="share of words replaced by the unknown word in training"
    )
    characters: CharacterSpec | None = CharacterCNNSpec()
    layers: int = Field(default=1, ge=0)
    width: int = Field(default=200, ge=2, multiple_of=2, description="both directions together")
    dropout: Probability = Field(
        default=0.33, description="variational: one mask per sentence (Gal and Ghahramani 2016)"
    )


EncoderSpec = Annotated[TransformerEncoderSpec | BiLSTMEncoderSpec, Field(discriminator="kind")]
