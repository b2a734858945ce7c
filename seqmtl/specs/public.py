"""What of a recipe may be read by anybody: no path of the machine that it was run on."""

from pathlib import Path, PureWindowsPath

from seqmtl.specs.corpora import CorpusEntry, FileCorpus, FilePart, HubCorpus
from seqmtl.specs.encoders import BiLSTMEncoderSpec, EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.packages import PREFIX
from seqmtl.specs.recipe import RecipeSpec
from seqmtl.specs.sharing import CrossStitchSpec, SharingSpec, SluiceSpec


def placeless(reference: str) -> str:
    """Of a path the last part; a name on the hub or in a package as it is.

    >>> placeless("/home/anna/encoders/bert"), placeless("google-bert/bert-base-cased")
    ('bert', 'google-bert/bert-base-cased')
    """
    if reference.startswith(PREFIX):
        return reference
    if PureWindowsPath(reference).is_absolute():
        return PureWindowsPath(reference).name
    is_path = reference.startswith(("/", "~", ".")) or ".." in reference or Path(reference).exists()
    return Path(reference).name if is_path else reference


def public_encoder(spec: EncoderSpec) -> EncoderSpec:
    """An encoder without the place of its files; a checkpoint carries them."""
    match spec:
        case TransformerEncoderSpec():
            return spec.model_copy(update={"pretrained": placeless(spec.pretrained)})
        case BiLSTMEncoderSpec():
            return spec.model_copy(update={"vectors": spec.vectors and placeless(spec.vectors)})


def public_sharing(spec: SharingSpec) -> SharingSpec:
    """A sharing scheme without the place of the file from which it started."""
    if isinstance(spec, CrossStitchSpec | SluiceSpec) and spec.alpha_from:
        return spec.model_copy(update={"alpha_from": placeless(spec.alpha_from)})
    return spec


def public_corpus(spec: CorpusEntry, *, name: str) -> CorpusEntry:
    """A corpus whose files, if they are local, are to be found in a folder ``name`` beside the recipe."""
    match spec:
        case FileCorpus():
            splits = {split: _public_part(part) for split, part in spec.splits.items()}
            return spec.model_copy(update={"path": name, "splits": splits})
        case HubCorpus() if spec.is_local():
            return spec.model_copy(update={"dataset": f"./{name}"})
        case _:
            return spec


def public_recipe(recipe: RecipeSpec) -> RecipeSpec:
    """A recipe of a run, which names no corpus by reference, that says what was done and not where."""
    training = recipe.training
    started = training.start_from and placeless(training.start_from)
    return recipe.model_copy(
        update={
            "corpora": {name: public_corpus(spec, name=name) for name, spec in recipe.corpora.items()},
            "encoder": public_encoder(recipe.encoder),
            "sharing": public_sharing(recipe.sharing),
            "training": training.model_copy(update={"start_from": started}),
        }
    )


def _public_part(part: str | FilePart) -> str | FilePart:
    if isinstance(part, FilePart):
        return part.model_copy(update={"file": placeless(part.file)})
    return placeless(part)
