"""What a recipe starts from beside its pretrained encoder: another run, and the alphas of another run."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from seqmtl.batch import UNKNOWN
from seqmtl.data.indexing import CharacterIndexer, Indexer, WordIndexer
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.coupling import read_coupling
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import CrossStitchSpec, SharingSpec, SluiceSpec
from seqmtl.training.warm_start import WarmStart, load_donor, take_over

KNOWN = 0.2  # of the words of training sentences, at least


class Start:
    """Reads what a recipe starts from, then puts it into the recipe's model."""

    def __init__(self, recipe: RecipeSpec) -> None:
        """Read what a resolved recipe names.

        Raises:
            ConfigError: when it is not there, or there is none whose parts could be frozen.
        """
        run, file = recipe.training.start_from, alpha_from(recipe.sharing)
        self.freeze = recipe.training.freeze
        if self.freeze is not None and run is None:
            raise ConfigError(
                f"training.freeze: {self.freeze!r} keeps what another run has learned; name it in training.start_from"
            )
        self.donor = None if run is None else load_donor(run)
        self.alphas = None if file is None else (file, read_coupling(Path(file)))

    def reading(self, indexer: Indexer, sentences: Iterable[Sequence[str]]) -> Indexer:
        """``indexer`` with the words and characters of the other run, so that what that has learned keeps its number.

        What only the recipe's own ``sentences`` have is unknown then. Pieces are those of the recipe's encoder.

        Raises:
            ConfigError: when the other run knows hardly any of their words.
        """
        if self.donor is None:
            return indexer
        theirs = self.donor.indexer
        if indexer.words and theirs.words:
            check_known(theirs.words, sentences, run=self.donor.run)
        return Indexer(
            words=theirs.words if indexer.words and theirs.words else indexer.words,
            pieces=indexer.pieces,
            characters=CharacterIndexer(theirs.characters.vocabulary, max_length=indexer.characters.max_length)
            if indexer.characters and theirs.characters
            else indexer.characters,
            letter_cases=indexer.letter_cases,
        )

    def put_into(self, model: SeqMTLModel, indexer: Indexer) -> WarmStart | None:
        """Let ``model``, which reads with ``indexer``, start there.

        Returns:
            What it has from another run; None: the recipe names none.

        Raises:
            ConfigError: when it does not fit.
        """
        warm_start = None if self.donor is None else take_over(model, indexer, self.donor)
        if self.alphas is not None:
            file, coupling = self.alphas
            model.sharing.start_mixing(coupling, source=file)
        if self.freeze == "meta":
            assert warm_start is not None  # there is no freezing without another run
            freeze_meta(model, warm_start)
        return warm_start


def check_known(indexer: WordIndexer, sentences: Iterable[Sequence[str]], *, run: str) -> None:
    """Make sure that some of the words are known.

    Raises:
        ConfigError: when fewer than ``KNOWN`` are.
    """
    words = [word for sentence in sentences for word in sentence]
    known = int((indexer([words]) != UNKNOWN).sum())
    if known < KNOWN * len(words):
        raise ConfigError(
            f"training.start_from: {run} knows {known:,} of the {len(words):,} words of this recipe's training "
            "sentences; name a run on the same language, with words written in the same way"
        )


def freeze_meta(model: SeqMTLModel, warm_start: WarmStart) -> None:
    """Keep the Meta-LSTM of ``model`` as another run had it.

    Raises:
        ConfigError: when there is none, or the other run has none of this shape.
    """
    model.freeze_meta()
    taken = {id(model.get_parameter(name)) for name in warm_start.taken}
    if not all(id(parameter) in taken for parameter in model.sharing.generator()):
        raise ConfigError(
            f"training.freeze: {warm_start.run} has no Meta-LSTM of the same sizes to keep; name a run with the same "
            "sharing and encoder"
        )


def start_at_home(recipe: RecipeSpec, folder: Path) -> RecipeSpec:
    """``recipe`` with the paths from which it starts made absolute; they count from ``folder``."""
    run, file = recipe.training.start_from, alpha_from(recipe.sharing)
    if run is not None:
        training = recipe.training.model_copy(update={"start_from": _absolute(run, folder)})
        recipe = recipe.model_copy(update={"training": training})
    if file is not None:
        sharing = recipe.sharing.model_copy(update={"alpha_from": _absolute(file, folder)})
        recipe = recipe.model_copy(update={"sharing": sharing})
    return recipe


def alpha_from(sharing: SharingSpec) -> str | None:
    """The file at whose numbers alpha starts; None: it starts as the scheme says, or the scheme has none."""
    return sharing.alpha_from if isinstance(sharing, CrossStitchSpec | SluiceSpec) else None


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).resolve())
