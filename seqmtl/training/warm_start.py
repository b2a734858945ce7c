"""Starting where another run ended."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from torch import nn

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.indexing import Indexer
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.layers.mixing import Alpha
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.towers.base import Tower

SHOWN = 5  # names in a message
Identity = tuple[str, Hashable]  # the name of a parameter, and what beside it gives its numbers their meaning


@dataclass(frozen=True)
class Donor:
    """A trained run from which another starts.

    Attributes:
        run: its folder.
        model: its model.
        indexer: what that reads with.
    """

    run: str
    model: SeqMTLModel
    indexer: Indexer


@dataclass(frozen=True)
class WarmStart:
    """What became of the parameters of a new model.

    Attributes:
        run: from which it starts.
        taken: names of the parameters that were taken over.
        new: names of the others, which start as without a donor.
        other_labels: tasks that both have, but with other labels, so that their heads are new.
    """

    run: str
    taken: tuple[str, ...]
    new: tuple[str, ...]
    other_labels: tuple[str, ...]

    def __str__(self) -> str:
        """A line for a person."""
        text = f"start from {self.run}: {len(self.taken)} parameters taken over, {len(self.new)} new"
        if self.new:
            text += f": {', '.join(self.new[:SHOWN])}{', ...' if len(self.new) > SHOWN else ''}"
        if self.other_labels:
            text += f"; other labels, so a new head: {', '.join(self.other_labels)}"
        return text


def load_donor(run: str) -> Donor:
    """Load the run to start from.

    Raises:
        ConfigError: when it is no checkpoint.
    """
    try:
        return Donor(run, *load_checkpoint(run))
    except CheckpointError as error:
        raise ConfigError(f"training.start_from: {error}") from None


def take_over(model: SeqMTLModel, indexer: Indexer, donor: Donor) -> WarmStart:
    """Let each parameter of ``model`` start at that of the donor with the same identity and shape.

    Raises:
        ConfigError: when the donor reads with other vocabularies, or nothing can be taken over.
    """
    check_vocabularies(indexer, donor)
    theirs = {identity: parameter for _, identity, parameter in identities(donor.model)}
    taken, new = [], []
    for name, identity, parameter in identities(model):
        found = theirs.get(identity)
        if found is None or found.shape != parameter.shape:
            new.append(name)
        else:
            parameter.data.copy_(found)
            taken.append(name)
    if not taken:
        raise ConfigError(_nothing_taken(model, donor))
    both = [name for name in model.tasks if name in donor.model.tasks]
    others = [name for name in both if model.tasks[name].labels != donor.model.tasks[name].labels]
    return WarmStart(donor.run, tuple(taken), tuple(new), tuple(others))


def identities(model: SeqMTLModel) -> Iterator[tuple[str, Identity, nn.Parameter]]:
    """Each parameter with its name and its identity.

    A tower that bears a task's name is that task's wherever the scheme keeps it. A head means nothing without its
    labels. What else a scheme has learned means nothing without its tasks, and alphas not without their normalisation.
    """
    labels = {name: task.labels.labels for name, task in model.tasks.items()}
    meant: dict[int, Identity] = {}
    for name, parameter in model.sharing.named_parameters():
        meant[id(parameter)] = (f"sharing.{name}", tuple(labels.items()))
    for path, module in model.sharing.named_modules():
        if isinstance(module, Tower):
            key = path.rpartition(".")[2]
            place = f"towers.{key}" if key in model.tasks else path
            meant |= {id(p): (f"sharing.{place}.{name}", None) for name, p in module.named_parameters()}
        elif isinstance(module, Alpha):
            meant[id(module.weight)] = (f"sharing.{path}", (tuple(labels), module.normalisation))
    for task, head in model.heads.items():
        meant |= {id(p): (f"heads.{task}.{name}", labels[task]) for name, p in head.named_parameters()}
    for name, parameter in model.named_parameters():
        yield name, meant.get(id(parameter), (name, None)), parameter


def check_vocabularies(indexer: Indexer, donor: Donor) -> None:
    """Make sure that a word, piece or character has the same number in both models.

    Raises:
        ConfigError: when it has not.
    """
    ours, theirs = _vocabularies(indexer), _vocabularies(donor.indexer)
    for kind, items in ours.items():
        if items != theirs[kind]:
            raise ConfigError(
                f"training.start_from: {donor.run} knows {len(theirs[kind]):,} {kind}, this recipe {len(items):,}, and "
                "they are not the same; name a run with the same encoder on the same training sentences"
            )


def _vocabularies(indexer: Indexer) -> dict[str, dict[str, int]]:
    return {
        "words": indexer.words.vocabulary.ids if indexer.words else {},
        "pieces": indexer.pieces.tokenizer.tokenizer.get_vocab() if indexer.pieces else {},
        "characters": indexer.characters.vocabulary.ids if indexer.characters else {},
    }


def _nothing_taken(model: SeqMTLModel, donor: Donor) -> str:
    ours, theirs = (dict(m.named_parameters()) for m in (model, donor.model))
    sizes = [f"{name}: {_size(theirs[name])} there, {_size(ours[name])} here" for name in ours if name in theirs]
    return (
        f"training.start_from: none of the {len(theirs)} parameters of {donor.run} has the name and shape of one of "
        f"this recipe's {len(ours)} ({sizes[0] if sizes else 'no name is in both'}); "
        "name a run with the same encoder or towers"
    )


def _size(parameter: nn.Parameter) -> str:
    return " x ".join(map(str, parameter.shape))
