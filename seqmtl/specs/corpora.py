"""What there is to learn from: where a corpus lies, how it is written, and which layers it carries.

A corpus file is one YAML mapping with the key ``kind``; ``seqmtl.data.corpus.load_corpus`` makes canonical rows of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, PositiveInt, Tag, model_validator

from seqmtl.errors import ConfigError, nearest
from seqmtl.specs.base import Spec

SchemeName = Literal["auto", "iob1", "bio", "bioes"]
PolicyName = Literal["error", "repair"]

SPLITS = ("train", "dev", "test")
OTHER_NAMES = {"development": "dev", "valid": "dev", "val": "dev", "validation": "dev"}


def split_name(name: str) -> str:
    """Return ``name`` when it is that of a split; raise ``ValueError`` otherwise."""
    if name not in SPLITS:
        hint = f"did you mean {OTHER_NAMES[name]!r}?" if name in OTHER_NAMES else nearest(name, SPLITS)
        raise ValueError(f"{name!r} is not a split of seqmtl; {hint}")
    return name


SplitName = Annotated[str, AfterValidator(split_name)]


class CommonCorpus(Spec, ABC):
    """The keys that every kind of corpus understands."""

    name: str | None = None
    description: str = ""
    licence: str = ""
    schemes: dict[str, SchemeName] = Field(
        default={},
        description="The scheme in which a span layer is written; it comes out as BIO. `auto` recognises it.",
    )
    policy: PolicyName = Field(
        default="error", description="What happens to a tag that breaks its scheme: stop, or repair it."
    )
    empty_when_absent: tuple[Literal["srl_frames"], ...] = Field(
        default=(), description="A row without this layer has zero frames, rather than no annotation."
    )
    limit: dict[str, PositiveInt] = Field(default={}, description="Read only the first n rows of a split.")

    @abstractmethod
    def split_names(self) -> tuple[str, ...]:
        """The splits of this corpus, in the order in which they are written."""

    @model_validator(mode="after")
    def _limits_name_splits(self) -> Self:
        if "srl_frames" in self.schemes:
            raise ValueError("schemes: srl_frames is always BIO; leave it out")
        names = self.split_names()
        if not names:
            raise ValueError("a corpus needs at least one split")
        for split in self.limit:
            if split not in names:
                raise ValueError(f"limit names the split {split!r}, which the corpus lacks; {nearest(split, names)}")
        return self


class FilePart(Spec):
    """A stretch of the sentences of one file, for corpora that are published without splits."""

    file: str
    rows: tuple[int, int | None] = Field(
        default=(0, None),
        description="First sentence, from 0, and the one after the last; null is the end of the file.",
    )

    @model_validator(mode="after")
    def _rows_ascend(self) -> Self:
        start, end = self.rows
        if start < 0 or (end is not None and end <= start):
            raise ValueError(f"rows must ascend from 0 upwards, as in [0, 1200] or [1200, null]; got [{start}, {end}]")
        return self


class FileCorpus(CommonCorpus):
    """A corpus in files of one folder."""

    path: str = Field(default=".", description="The folder, relative to the folder of the YAML file; `~` is your home.")
    splits: dict[SplitName, str | FilePart]

    def split_names(self) -> tuple[str, ...]:
        """The splits of this corpus, in the order in which they are written."""
        return tuple(self.splits)

    def part(self, split: str) -> FilePart:
        """The file of a split, and which of its sentences belong to it."""
        part = self.splits[split]
        return FilePart(file=part) if isinstance(part, str) else part


class JsonlCorpus(FileCorpus):
    """One canonical row per line of a ``.jsonl`` or ``.jsonl.gz`` file."""

    kind: Literal["jsonl"] = "jsonl"
    layers: tuple[str, ...] | None = Field(default=None, description="Read these layers only; null reads every key.")


class ConllCorpus(FileCorpus):
    """One word per line, its tags in columns, an empty line after each sentence."""

    kind: Literal["conll"] = "conll"
    columns: dict[str, int] = Field(description="The column of `tokens` and of each layer, from 0; -1 is the last.")
    separator: Literal["whitespace", "tab", "space"] = "whitespace"
    comments: str | None = Field(default=None, description="Lines that start with this are comments, e.g. '# '.")

    @model_validator(mode="after")
    def _has_tokens_and_a_layer(self) -> Self:
        _require_tokens(self.columns)
        return self


class ConlluCorpus(FileCorpus):
    """Universal Dependencies' CoNLL-U; multiword tokens and empty nodes are not words."""

    kind: Literal["conllu"] = "conllu"
    layers: tuple[Literal["upos", "xpos"], ...] = ("upos", "xpos")
    misc: dict[str, str] = Field(
        default={}, description="Layers that stand in MISC, e.g. {ner_tags: NER}; a word without the key is O."
    )


class FramesFrom(Spec):
    """Where a hub corpus keeps its semantic roles, one entry per predicate."""

    column: str = "srl_frames"
    tags: str = Field(
        default="frames", description="The key of the BIO tags within one frame; B-V marks the predicate."
    )
    lemmas: str | None = Field(default=None, description="A column of one lemma per word (null off the predicates).")
    rolesets: str | None = Field(default=None, description="A column of one roleset number per word, as '01'.")


class HubCorpus(CommonCorpus):
    """A dataset of the hub, or a local folder that ``datasets`` reads. Loading scripts are never run."""

    kind: Literal["hub"] = "hub"
    dataset: str = Field(description="A hub id, or a local folder that begins with `.`, `/` or `~`.")
    revision: str | None = None
    config: str | None = None
    folder: str | None = Field(
        default=None, description="A folder within the dataset; on a parquet branch each config is a folder."
    )
    columns: dict[str, str] = Field(description="The hub's column for `tokens`, each layer, and `id` if it has one.")
    names: dict[str, tuple[str, ...]] = Field(
        default={}, description="The tag of each integer, for a layer of integers whose dataset does not name them."
    )
    sentences: str | None = Field(
        default=None, description="The column that lists the sentences, where a row is a whole document."
    )
    frames_from: FramesFrom | None = None
    skip_words: dict[str, str] = Field(
        default={}, description="Leave out the words whose tag is this, e.g. {upos: _} for UD's multiword tokens."
    )
    splits: dict[SplitName, str] = Field(
        description="The hub's name of each split; a slice such as train[90%:] is allowed."
    )
    streaming: bool = False

    def split_names(self) -> tuple[str, ...]:
        """The splits of this corpus, in the order in which they are written."""
        return tuple(self.splits)

    def is_local(self) -> bool:
        """Whether ``dataset`` is a folder of this machine."""
        return self.dataset.startswith((".", "/", "~"))

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        _require_tokens(self.columns, frames=self.frames_from is not None)
        for key in ("names", "skip_words"):
            for layer in getattr(self, key):
                if layer not in self.columns:
                    raise ValueError(
                        f"{key} has {layer!r}, which is not among the columns; {nearest(layer, self.columns)}"
                    )
        if self.skip_words and self.frames_from is not None:
            raise ValueError("skip_words and frames_from cannot stand together: frames point at words by number")
        if self.streaming and "auto" in self.schemes.values():
            raise ValueError("schemes: auto must see the whole corpus, which streaming does not; name the scheme")
        return self


class ToyCorpus(CommonCorpus):
    """The built-in synthetic corpus, for demonstrations and tests; it needs no file and no network."""

    kind: Literal["toy"] = "toy"
    sizes: dict[SplitName, PositiveInt] = Field(default={"train": 2000, "dev": 300, "test": 300})
    seed: int = 0

    def split_names(self) -> tuple[str, ...]:
        """The splits of this corpus, in the order in which they are written."""
        return tuple(self.sizes)


class CorpusRef(Spec):
    """``{use: ewt}``: a corpus of ``tasks/corpora`` (or a YAML file of your own), with keys that override its own."""

    model_config = ConfigDict(extra="allow")

    use: str

    def overrides(self) -> dict[str, Any]:
        """The keys beside ``use``; they are checked once they stand in the corpus that they override."""
        return dict(self.model_extra or {})


CorpusSpec = Annotated[JsonlCorpus | ConllCorpus | ConlluCorpus | HubCorpus | ToyCorpus, Discriminator("kind")]


def _kind_or_reference(data: Any) -> str | None:
    """The union tag of a corpus in a recipe; ``kind`` and ``use`` never stand together."""
    if isinstance(data, Mapping):
        return "reference" if "use" in data else data.get("kind")
    return "reference" if isinstance(data, CorpusRef) else getattr(data, "kind", None)


CorpusEntry = Annotated[
    Annotated[JsonlCorpus, Tag("jsonl")]
    | Annotated[ConllCorpus, Tag("conll")]
    | Annotated[ConlluCorpus, Tag("conllu")]
    | Annotated[HubCorpus, Tag("hub")]
    | Annotated[ToyCorpus, Tag("toy")]
    | Annotated[CorpusRef, Tag("reference")],
    Discriminator(_kind_or_reference),
]
"""What a recipe may say under ``corpora.<name>``: a whole corpus, or a reference to one."""


def parse_corpus(data: Mapping[str, Any], *, source: str | Path) -> CorpusSpec:
    """Validate the mapping of a corpus file.

    Raises:
        ConfigError: ``kind`` is missing or unknown, or a key is wrong.
    """
    kinds = {
        get_args(member.model_fields["kind"].annotation)[0]: member for member in get_args(get_args(CorpusSpec)[0])
    }
    if "kind" not in data:
        raise ConfigError(f"{source}: needs the key 'kind', which says how the corpus is written; {nearest('', kinds)}")
    if data["kind"] not in kinds:
        raise ConfigError(f"{source}: kind: got {data['kind']!r}; {nearest(str(data['kind']), kinds)}")
    return kinds[data["kind"]].parse(data, source=source)


def _require_tokens(columns: Mapping[str, Any], *, frames: bool = False) -> None:
    if "tokens" not in columns:
        raise ValueError(f"columns must say where 'tokens' is; got {sorted(columns)}")
    if not frames and not set(columns) - {"tokens", "id"}:
        raise ValueError("columns names no layer beside 'tokens'; add one, e.g. ner_tags")
