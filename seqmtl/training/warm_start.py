"""Starting where another run ended."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from seqmtl.checkpoints import load_checkpoint
from seqmtl.data.indexing import Indexer, vocabularies
from seqmtl.encoders.cut import Tap
from seqmtl.errors import CheckpointError, ConfigError
from seqmtl.layers.bilstm import BiLSTM
from seqmtl.layers.low_rank import ScaledLowRank, ScaleNetwork
from seqmtl.layers.meta_lstm import BasicCell, MetaCell
from seqmtl.layers.mixing import Alpha, ChannelAlpha
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.towers.base import Tower
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.sharing import Connections, CrossStitchSpec, SluiceSpec

SHOWN = 5  # names in a message
Identity = tuple[str, Hashable]  # a name, and what beside it gives the numbers of a part their meaning


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
class Part:
    """Parameters that mean something together only.

    Attributes:
        path: what their names begin with, or the name of the only one.
        identity: what the same part of another model has, too.
        in_encoder: where an encoder that was not cut has them; None: nowhere.
    """

    path: str
    identity: Identity
    in_encoder: str | None = None


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
    """Let each part of ``model`` start at that of the donor with the same identity and shapes, whole or not at all.

    Raises:
        ConfigError: when the donor reads with other vocabularies or was pruned, or nothing can be taken over.
    """
    check_vocabularies(indexer, donor)
    check_connections(model, donor)
    named, theirs = dict(model.named_parameters()), dict(donor.model.named_parameters())
    paths = {part.identity: part.path for part in parts_of(donor.model)}
    taken = set()
    for part in parts_of(model):
        ours = below(part.path, named)
        found = [below(path, theirs) for path in (paths.get(part.identity), part.in_encoder) if path is not None]
        source = next((one for one in found if shapes(one) == shapes(ours)), {})
        for name, parameter in source.items():
            ours[name].data.copy_(parameter)
            taken.add(id(ours[name]))
    if not taken:
        raise ConfigError(_nothing_taken(model, donor))
    both = [name for name in model.tasks if name in donor.model.tasks]
    return WarmStart(
        run=donor.run,
        taken=tuple(name for name, parameter in named.items() if id(parameter) in taken),
        new=tuple(name for name, parameter in named.items() if id(parameter) not in taken),
        other_labels=tuple(name for name in both if model.tasks[name].labels != donor.model.tasks[name].labels),
    )


def parts_of(model: SeqMTLModel) -> Iterator[Part]:
    """All parameters of a model in parts: layers of towers and of BiLSTMs, alphas, heads, and any other by itself.

    A head means nothing without its labels. What else a scheme has learned means nothing without its tasks, and alphas
    not without their normalisation.
    """
    labels = {name: task.labels.labels for name, task in model.tasks.items()}
    parts = [
        *tower_parts(model),
        *alpha_parts(model),
        *generator_parts(model),
        *(Part(f"heads.{task}", (f"heads.{task}", labels[task])) for task in model.heads),
        *(
            Part(f"encoder.{path}", (f"encoder.{path}", None))
            for path, module in model.encoder.named_modules()
            if isinstance(module, BiLSTM)
        ),
    ]
    yield from parts
    named = dict(model.named_parameters())
    inside = {id(parameter) for part in parts for parameter in below(part.path, named).values()}
    for name, parameter in named.items():
        if id(parameter) not in inside:
            yield Part(name, (name, tuple(labels.items()) if name.startswith("sharing.") else None))


def tower_parts(model: SeqMTLModel) -> Iterator[Part]:
    """The layers of towers, and the norms after the last.

    A tower that bears a task's name is that task's wherever the scheme keeps it. A transformer's block is the same
    whether the encoder or a tower has it, so it is known by its place in the encoder, and not by its number in the
    tower, which depends on how many blocks the towers have.
    """
    places = layer_places(model)
    for path, module in model.sharing.named_modules():
        if not isinstance(module, Tower):
            continue
        key = path.rpartition(".")[2]
        tower = f"towers.{key}" if key in model.tasks else path
        for number in module.layers:
            place = places[int(number)] if isinstance(module, TransformerTower) else None
            yield Part(f"sharing.{path}.layers.{number}", (f"sharing.{tower}", place or number), in_encoder=place)
        if isinstance(module, TransformerTower) and module.norm is not None:
            norm = f"encoder.model.{module.family.norm}"
            yield Part(f"sharing.{path}.norm", (f"sharing.{tower}", norm), in_encoder=norm)


def alpha_parts(model: SeqMTLModel) -> Iterator[Part]:
    """What mixes towers after each layer, known by that layer as the towers' layers are."""
    places = layer_places(model)
    for path, module in model.sharing.named_modules():
        if isinstance(module, Alpha | ChannelAlpha):
            home, _, number = path.rpartition(".")
            layer = places[int(number)] if places else number
            form = module.normalisation if isinstance(module, Alpha) else "none"
            yield Part(f"sharing.{path}", (f"sharing.{home}", (layer, tuple(model.tasks), form)))


def generator_parts(model: SeqMTLModel) -> Iterator[Part]:
    """What generates weights, the same for all tasks, and of each task what it generates them from."""
    places = layer_places(model)
    for path, module in model.sharing.named_modules():
        if isinstance(module, MetaCell | BasicCell | ScaleNetwork | ScaledLowRank):
            yield Part(f"sharing.{path}", (f"sharing.{path}", tuple(places)))


def layer_places(model: SeqMTLModel) -> list[str]:
    """Where in the encoder each block of transformer towers was, lowest first; none without such towers."""
    return [f"encoder.{path}" for path, module in model.encoder.named_modules() if isinstance(module, Tap)]


def below(path: str, named: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """The parameters at ``path`` and below it, by the rest of their names."""
    return {n.removeprefix(path): p for n, p in named.items() if n == path or n.startswith(f"{path}.")}


def shapes(parameters: Mapping[str, nn.Parameter]) -> dict[str, tuple[int, ...]]:
    """The shape of each parameter."""
    return {name: tuple(parameter.shape) for name, parameter in parameters.items()}


def check_connections(model: SeqMTLModel, donor: Donor) -> None:
    """Make sure that what was pruned from the donor does not come back.

    Raises:
        ConfigError: when the donor was pruned, and this recipe is not connected as it is.
    """
    theirs = connections(donor.model)
    if theirs is not None and theirs != connections(model):
        raise ConfigError(
            f"training.start_from: {donor.run} was pruned, and this recipe would read what was removed; name the run "
            "from which it was pruned, or set sharing.connections to those in the config.json of the pruned one"
        )


def connections(model: SeqMTLModel) -> Connections | None:
    """What a pruned scheme still reads; None: it was not pruned, or cannot be."""
    spec = model.config.sharing_spec
    return spec.connections if isinstance(spec, CrossStitchSpec | SluiceSpec) else None


def check_vocabularies(indexer: Indexer, donor: Donor) -> None:
    """Make sure that a word, piece or character has the same number in both models.

    Raises:
        ConfigError: when it has not.
    """
    ours, theirs = vocabularies(indexer), vocabularies(donor.indexer)
    for kind, items in ours.items():
        if items != theirs[kind]:
            raise ConfigError(
                f"training.start_from: {donor.run} knows {len(theirs[kind]):,} {kind}, this recipe {len(items):,}, and "
                "they are not the same; name a run with the same encoder on the same training sentences"
            )


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
