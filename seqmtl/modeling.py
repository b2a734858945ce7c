"""The model: encoder + sharing + heads.

K decoders, B sentences, T words, H features, L labels, N predicates.
"""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from seqmtl.batch import Inputs, Targets
from seqmtl.configuration import SeqMTLConfig
from seqmtl.data.kinds import TokenKind
from seqmtl.data.tasks import Task
from seqmtl.encoders.backbone import freeze_below, load_backbone, load_backbone_config, set_dropout
from seqmtl.encoders.base import Encoder
from seqmtl.encoders.build import InventorySizes, build_encoder
from seqmtl.encoders.cut import cut, taps
from seqmtl.encoders.transformer import TransformerEncoder
from seqmtl.errors import CheckpointError, ConfigError, EncoderError, nearest
from seqmtl.heads.build import build_head
from seqmtl.heads.srl import SRLHead
from seqmtl.heads.token import TokenHead
from seqmtl.hub import fetch
from seqmtl.layers.on_cpu import faster_on_cpu
from seqmtl.loading import about, blueprint, check_fit, settle
from seqmtl.objectives.losses import Losses
from seqmtl.sharing.base import Request
from seqmtl.sharing.build import build_sharing
from seqmtl.sharing.pruning import Pruning
from seqmtl.sharing.towers.build import Ground
from seqmtl.sharing.towers.transformer import TransformerTower
from seqmtl.specs.encoders import EncoderSpec, TransformerEncoderSpec
from seqmtl.specs.pseudo_tasks import DecodersSpec
from seqmtl.specs.sharing import HardSharingSpec, SharingSpec, transformer_towers
from seqmtl.weights import check_layers, read_shapes

ONE = DecodersSpec(count=1)


@dataclass(frozen=True)
class Roles:
    """Predicted roles of the predicates of a batch.

    Attributes:
        predicates: (sentence, word), ``[N, 2]``.
        labels: label ids, 0 where padded, ``[N, T]``.
    """

    predicates: Tensor
    labels: Tensor


class SeqMTLModel(PreTrainedModel):
    """One encoder, one sharing scheme, a head per task.

    ``from_encoder`` starts a model from a pretrained encoder; ``from_pretrained`` loads a saved one.

    Attributes:
        tasks: by name.
        encoder: sentences to states.
        sharing: states to the features of each task.
        heads: features to labels, by task.
        folder: of the checkpoint from which it was loaded, with what it reads with; None: it was not.
    """

    config_class = SeqMTLConfig
    base_model_prefix = "seqmtl"
    main_input_name = "inputs"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True

    config: SeqMTLConfig
    folder: Path | None = None

    def __init__(self, config: SeqMTLConfig) -> None:
        """Build the model that ``config`` describes, with random weights."""
        backbone = config.backbone_config  # before transformers settles on an attention, which is this one's to choose
        super().__init__(config)
        self._constructed = False
        self.tasks: dict[str, Task] = {task.name: task for task in config.task_list}
        self.encoder = build_encoder(config.encoder_spec, backbone=backbone, sizes=config.sizes)
        if isinstance(self.encoder, TransformerEncoder):
            config._attn_implementation = self.encoder.model.config._attn_implementation
        ground = lay_ground(self.encoder, config.sharing_spec, tasks=self.tasks.values())
        self.sharing = build_sharing(config.sharing_spec, ground=ground, tasks=config.sharing_task_names)
        if config.sharing_tasks is not None:
            self.sharing.keep(tuple(self.tasks))
            # What is in the file for other tasks is left there, which is no reason for transformers to warn.
            self._keys_to_ignore_on_load_unexpected = [r"^sharing\.", r"^heads\."]
        decoders = config.decoder_specs
        self.heads = nn.ModuleDict({name: self._new_head(name, decoders.get(name, ONE)) for name in self.tasks})
        faster_on_cpu(self)
        self.post_init()
        self._constructed = True

    @classmethod
    def from_encoder(
        cls,
        encoder: EncoderSpec,
        *,
        tasks: Sequence[Task],
        sharing: SharingSpec | None = None,
        decoders: Mapping[str, DecodersSpec] | None = None,
        sizes: InventorySizes | None = None,
    ) -> Self:
        """Start a model: a pretrained encoder where the spec names one, everything else random.

        Args:
            encoder: the encoder's spec.
            tasks: what to learn, with label inventories.
            sharing: the sharing scheme; None: hard.
            decoders: of each task that has more than one; None: there is none.
            sizes: of the indexer's vocabularies; None: there are none.

        Raises:
            ConfigError: when the sharing scheme fits neither the tasks nor the encoder.
            EncoderError: when the pretrained encoder cannot be loaded, or does not have the layers that are to train.
        """
        backbone = None
        if isinstance(encoder, TransformerEncoderSpec):
            backbone = load_backbone_config(encoder.pretrained, revision=encoder.revision)
            if encoder.inner_dropout is not None:
                set_dropout(backbone, encoder.inner_dropout)
        config = SeqMTLConfig.of(
            encoder=encoder,
            backbone=backbone,
            sharing=sharing or HardSharingSpec(kind="hard"),
            tasks=tasks,
            decoders=decoders or {},
            sizes=sizes or InventorySizes(),
        )
        model = cls(config)
        if isinstance(encoder, TransformerEncoderSpec):
            assert isinstance(model.encoder, TransformerEncoder)
            # Built from the configuration first, then given the loaded encoder: transformers loses the attention
            # implementation of a live encoder that is passed together with its own configuration.
            pretrained = load_backbone(encoder.pretrained, revision=encoder.revision)
            towers = [module for module in model.sharing.modules() if isinstance(module, TransformerTower)]
            if towers:
                top = cut(pretrained, layers=len(taps(model.encoder.model)))
                for tower in towers:
                    tower.load_pretrained(top)
            model.encoder.model.load_state_dict(pretrained.state_dict())
            model.prepare_for_training(encoder)
        return model

    @classmethod
    def from_pretrained(  # transformers' own signature, with ``tasks``; a model, or that and a report
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None,
        *model_args: Any,
        config: PreTrainedConfig | str | os.PathLike | None = None,
        cache_dir: str | os.PathLike | None = None,
        ignore_mismatched_sizes: bool = False,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        revision: str = "main",
        tasks: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Load a model, in evaluation mode, as transformers does everywhere, but from safetensors alone.

        Whatever of weights and configuration does not fit is an error before memory is taken for it; with
        ``ignore_mismatched_sizes`` it starts anew, as in transformers. ``Tagger.from_pretrained`` and
        ``load_checkpoint`` also load what the model reads with.

        Args:
            pretrained_model_name_or_path: a folder, or the name of a model on the hub.
            model_args: as in transformers.
            config: in place of the checkpoint's own.
            cache_dir: of the hub's client.
            ignore_mismatched_sizes: let parts that the checkpoint lacks, or has in another shape, start anew.
            force_download: whatever the cache has.
            local_files_only: look into the cache and ask nobody.
            token: for a model that not everybody may see.
            revision: branch, tag or commit on the hub.
            tasks: load these and what they need, and read no other weights; None: all.
            kwargs: what else transformers knows: ``subfolder``, ``dtype``, ``device_map``, ``attn_implementation``, ...

        Raises:
            CheckpointError: when the checkpoint is missing or broken, or asks for a pickle or for code to be run.
            ConfigError: when it has no such task.
        """
        name = pretrained_model_name_or_path
        if name is None:  # a configuration and a state dict
            return super().from_pretrained(
                None, *model_args, config=config, ignore_mismatched_sizes=ignore_mismatched_sizes, **kwargs
            )
        if "_adapter_model_path" in (kwargs.get("adapter_kwargs") or {}):  # from AutoModel, where peft is installed
            raise CheckpointError(
                f"{os.fspath(name)}: an adapter would be put over the weights; merge it into them first"
            )
        reports = kwargs.pop("output_loading_info", False)
        folder = fetch(
            os.fspath(name),
            revision=revision,
            token=token,
            cache_dir=None if cache_dir is None else Path(cache_dir),
            local_files_only=local_files_only,
            force_download=force_download,
            subfolder=kwargs.pop("subfolder", None) or "",
        )
        with about(name):
            if not isinstance(config, PreTrainedConfig):
                config = SeqMTLConfig.from_pretrained(config or folder)
            assert isinstance(config, SeqMTLConfig), f"{type(config).__name__} is the configuration of another model"
            shapes = read_shapes(folder)
            if not ignore_mismatched_sizes:
                check_layers(config, shapes)
            config.check()
            if not ignore_mismatched_sizes:
                check_fit(shapes, config, build=cls)
            if tasks is not None:
                config = blueprint(config, build=cls).config_for(tasks)
            options: dict[str, Any] = kwargs | {"use_safetensors": True, "output_loading_info": True}
            loaded: Any = super().from_pretrained(
                folder, *model_args, config=config, ignore_mismatched_sizes=ignore_mismatched_sizes, **options
            )
            model, report = loaded
            assert ignore_mismatched_sizes or not report["missing_keys"], report  # else check_fit has spoken
            settle(model)
        model.config.name_or_path = model.name_or_path = os.fspath(name)
        model.folder = folder
        return (model, report) if reports else model

    def needed(self, tasks: Collection[str]) -> list[str]:
        """``tasks`` and those that they cannot do without, in the model's order.

        An srl task needs the task that finds its predicates; some schemes read what lower tasks predict.

        Raises:
            ConfigError: when there is no such task.
        """
        for name in tasks:
            if name not in self.tasks:
                raise ConfigError(f"the model has no task {name!r}; {nearest(name, self.tasks)}")
        finders = {finder for task in tasks if (finder := self.tasks[task].spec.predicates) is not None}
        found = {*tasks, *finders, *self.sharing.runs_heads(tasks)}
        return [task for task in self.tasks if task in found] if len(found) == len(set(tasks)) else self.needed(found)

    def config_for(self, tasks: Collection[str]) -> SeqMTLConfig:
        """The configuration of this model with ``tasks``, and what they need, alone.

        Raises:
            ConfigError: when there is no such task, or none is named.
        """
        if not tasks:
            raise ConfigError(f"tasks: none is named; {nearest('', self.tasks)}")
        kept = [self.tasks[name] for name in self.needed(tasks)]
        return self.config.with_tasks(kept, sharing_tasks=self.config.sharing_task_names, decoders=self.config.decoders)

    def resting_parameters(self, present: Collection[str]) -> list[nn.Parameter]:
        """The parameters on which no loss of the tasks ``present`` depends."""
        serving = {id(p) for p in self.serving_parameters(present)}
        return [p for p in self.parameters() if id(p) not in serving]

    def serving_parameters(self, tasks: Collection[str]) -> list[nn.Parameter]:
        """The parameters on which the losses of ``tasks`` depend: encoder, what sharing has for them, heads."""
        own = [p for task in tasks for p in self.heads[task].parameters()]
        read = [p for task in self.sharing.reads(tasks) for p in self.token_head(task).scoring_parameters()]
        return list(dict.fromkeys([*self.encoder.parameters(), *self.sharing.serving(tasks), *own, *read]))

    def add_task(self, task: Task, *, freeze: Literal["meta"] | None = None) -> Self:
        """A new model with one task more, in which all that this one has starts as it is here.

        Args:
            task: with a name of its own, and its label inventory; class weights of its head are for training to set.
            freeze: ``meta`` keeps a Meta-LSTM as it is, so that training finds only what it is to generate for the new
                task (transfer, Chen et al. 2018); None trains everything.

        Raises:
            ConfigError: when a task has this name, the sharing scheme would need to know where the new one belongs, or
                there is nothing of the kind to freeze.
        """
        if freeze not in (None, "meta"):
            raise ConfigError(f"add_task: freeze got {freeze!r}; allowed: 'meta', None")
        if task.name in self.tasks:
            raise ConfigError(f"add_task: there is a task {task.name!r} already; give the new one another name")
        grown = self.sibling([*self.tasks.values(), task], sharing_tasks=[*self.config.sharing_task_names, task.name])
        mine, theirs = self.state_dict(), grown.state_dict()
        for name, values in mine.items():
            if name not in theirs or theirs[name].shape != values.shape:
                raise ConfigError(
                    f"add_task: {name} depends on which tasks there are under sharing of kind "
                    f"{self.config.sharing_spec.kind!r}; train a model with task {task.name!r} from the start, "
                    "with training.start_from for what can be taken over"
                )
        known = dict(self.sharing.named_modules())
        for name, module in grown.sharing.named_modules():
            if isinstance(module, TransformerTower) and name not in known:
                raise ConfigError(
                    f"add_task: the blocks of {name} would not start at pretrained ones but at random; train a model "
                    f"with task {task.name!r} from the start, with training.start_from for what can be taken over"
                )
        grown.take(self)
        if freeze == "meta":
            grown.freeze_meta()
        return grown

    def remove_task(self, name: str) -> Self:
        """A new model without a task, which says of the others what this one says.

        What only that task needed is left out. Where tasks read each other's towers, its own stays as long as another
        task can be reached from it.

        Raises:
            ConfigError: when there is no such task, another one needs it, or it is the only one.
        """
        if name not in self.tasks:
            raise ConfigError(f"remove_task: the model has no task {name!r}; {nearest(name, self.tasks)}")
        rest = [task for task in self.tasks if task != name]
        needing = [task for task in rest if name in self.needed([task])]
        if needing:
            raise ConfigError(f"remove_task: {', '.join(needing)} cannot do without {name!r}; remove that first")
        if not rest:
            raise ConfigError(f"remove_task: {name!r} is the only task; a model has at least one")
        smaller = self.sibling([self.tasks[task] for task in rest], sharing_tasks=self.config.sharing_task_names)
        smaller.take(self)
        return smaller

    def sibling(
        self,
        tasks: Sequence[Task],
        *,
        sharing_tasks: Sequence[str],
        decoders: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> Self:
        """A new model like this one for other tasks, on its device and in its precision; its numbers are random.

        Args:
            tasks: in order.
            sharing_tasks: the tasks for which the sharing scheme is built.
            decoders: of tasks with several, as in the configuration; None: as here.
        """
        decoders = self.config.decoders if decoders is None else decoders
        names = list(dict.fromkeys(sharing_tasks))
        sibling = type(self)(self.config.with_tasks(tasks, sharing_tasks=names, decoders=decoders))
        sibling.to(device=self.device, dtype=self.dtype)  # pyright: ignore[reportCallIssue]
        if self.is_activation_checkpointing:
            sibling.activation_checkpointing_enable()
        return sibling.train(self.training)

    def take(self, other: "SeqMTLModel") -> None:
        """Take over what another model has of this one's parts: values, and whether they are frozen."""
        mine = self.state_dict()
        self.load_state_dict({name: v for name, v in other.state_dict().items() if name in mine}, strict=False)
        parameters = dict(self.named_parameters())
        for name, parameter in other.named_parameters():
            if name in parameters:
                parameters[name].requires_grad_(parameter.requires_grad)

    def get_input_embeddings(self) -> nn.Module:
        """The table of vectors of pieces, or of a BiLSTM's words, as transformers calls it; who shards a model asks."""
        return self.encoder.input_embeddings()

    def freeze_meta(self) -> None:
        """Keep the Meta-LSTM as it is in training.

        Raises:
            ConfigError: when the scheme has none.
        """
        shared = self.sharing.generator()
        if not shared:
            raise ConfigError(
                f"freeze: sharing of kind {self.config.sharing_spec.kind!r} has no Meta-LSTM; "
                "use kind 'meta_lstm', or 'meta_lora'"
            )
        for parameter in shared:
            parameter.requires_grad_(False)

    def prune_sharing(self, threshold: float) -> Pruning:
        """Remove the alphas whose magnitude is below ``threshold``, and the layers of towers that no task then reaches.

        The model saves and loads as it then is. How its scores change is for ``seqmtl prune`` to say, which has data.

        Raises:
            ConfigError: when the scheme has no alphas, or a task would have nothing left to read.
        """
        spec = self.config.sharing_spec
        pruning = self.sharing.prune(threshold)
        if pruning is None:
            raise ConfigError(
                f"prune: sharing of kind {spec.kind!r} has no alphas; name a run of which `seqmtl inspect` shows some"
            )
        pruned = spec.model_copy(update={"connections": pruning.connections})
        self.config.sharing = pruned.model_dump(mode="json")
        return pruning

    def prepare_for_training(self, encoder: TransformerEncoderSpec) -> None:
        """Freeze lower blocks and switch on gradient checkpointing as the spec asks.

        The blocks of towers count among the trainable layers, as the top ones.

        Raises:
            ConfigError: when the sharing scheme excludes gradient checkpointing.
            EncoderError: when there are fewer trainable layers than towers have, or more than the encoder has.
        """
        assert isinstance(self.encoder, TransformerEncoder)
        if encoder.trainable_layers is not None:
            in_towers = len(taps(self.encoder.model))
            if encoder.trainable_layers < in_towers:
                raise EncoderError(
                    f"encoder.trainable_layers: got {encoder.trainable_layers}, but the top {in_towers} blocks belong "
                    f"to the towers, which train; give at least {in_towers}, or towers of fewer layers"
                )
            freeze_below(self.encoder.model, trainable_layers=encoder.trainable_layers)
        if encoder.gradient_checkpointing:
            if not self.sharing.recomputable:
                raise ConfigError(
                    f"encoder.gradient_checkpointing: sharing of kind {self.config.sharing_spec.kind!r} cannot run its "
                    "blocks again in the backward pass; set it to false"
                )
            self.activation_checkpointing_enable()  # the blocks of towers, too

    def forward(self, inputs: Inputs, targets: Mapping[str, Targets]) -> Losses:
        """The losses of the tasks in ``targets``; each task sees the rows that carry its layer.

        One encoder pass serves every task. A task without a row in the batch costs 0. In training every parameter is in
        the graph, for which distributed training waits, also those of tasks that are not in ``targets`` and not run.
        """
        request = Request(
            tasks=tuple(targets),
            rows={task: target.sentences(len(inputs.word_mask)) for task, target in targets.items()},
            read=self.label_probabilities,
        )
        shared = self.sharing(self.encoder(inputs), request)
        losses = {
            task: self.heads[task](shared.features[task], inputs.word_mask, target) for task, target in targets.items()
        }
        if self.training and len(targets) < len(self.tasks):
            nothing = sum(p.sum() for p in self.resting_parameters(targets)) * 0.0
            losses = {task: replace(loss, total=loss.total + nothing) for task, loss in losses.items()}
        return Losses(losses, shared.penalties)

    def features(self, inputs: Inputs, tasks: Sequence[str]) -> Mapping[str, Tensor]:
        """The features ``[B, T, H]`` that the heads of ``tasks`` read, from one encoder pass."""
        request = Request(tuple(tasks), read=self.label_probabilities)
        return self.sharing(self.encoder(inputs), request).features

    def label_probabilities(self, task: str, features: Tensor, mask: Tensor) -> Tensor:
        """How the head of a task that labels words reads features ``[B, T, H]`` under mask ``[B, T]``: ``[B, T, L]``.

        Of K decoders the best, which is also the one that is there after training; of a CRF the softmax of its unary
        scores.

        Raises:
            KeyError: when the task's head does not label words.
        """
        return self.token_head(task).scores_of(features, mask, decoder=self.best_decoder(task)).softmax(dim=-1)

    def token_head(self, task: str) -> TokenHead:
        """The head of a task that labels words.

        Raises:
            KeyError: when the task's head does not label words.
        """
        head = self.head(task)
        if not isinstance(head, TokenHead):
            raise KeyError(task)
        return head

    def srl_head(self, task: str) -> SRLHead:
        """The head of a task of roles."""
        head = self.head(task)
        assert isinstance(head, SRLHead)
        return head

    def head(self, task: str) -> TokenHead | SRLHead:
        """The head of a task."""
        head = self.heads[task]
        assert isinstance(head, TokenHead | SRLHead)
        return head

    def best_decoder(self, task: str) -> int:
        """The decoder that predicts; 0 when there is no other."""
        return self.config.decoders.get(task, {"best": 0})["best"]

    def choose_decoder(self, task: str, number: int) -> None:
        """Let another decoder of a task that has several predict, here and in checkpoints."""
        self.config.decoders[task]["best"] = number

    def with_best_decoders(self) -> Self:
        """This model with the best decoder of each task alone: K to 1. What it predicts is the same, to the bit.

        All but the heads of tasks that have several is shared with this model.
        """
        alone = copy(self)
        alone._modules = dict(self._modules)
        alone.config = deepcopy(self.config)
        alone.config.decoders = {}
        with torch.random.fork_rng(devices=[]):  # new heads start at random, which is nobody's concern
            single = {task: self._single(task) for task in self.config.decoders}
        alone.heads = nn.ModuleDict({task: single.get(task, head) for task, head in self.heads.items()})
        alone.heads.train(self.heads.training)
        return alone

    def _single(self, task: str) -> TokenHead | SRLHead:
        """A head with the best decoder of a task."""
        head, best = self.head(task), self.best_decoder(task)
        own, state = head.own(), head.state_dict()
        alone = self._new_head(task, ONE)
        kept = {name: state[name] for name in alone.state_dict()}  # not the rates, with which a decoder learned
        alone.load_state_dict({n: v[best : best + 1] if n in own else v for n, v in kept.items()})
        faster_on_cpu(alone)
        return alone.to(device=self.device, dtype=self.dtype).train(head.training)

    def decode_words(self, task: str, features: Tensor, mask: Tensor) -> Tensor:
        """The best labels of a token-level task from its features, by its best decoder.

        Args:
            task: which task.
            features: ``[B, T, H]``.
            mask: ``[B, T]``.

        Returns:
            Label ids, 0 where padded, ``[B, T]``.
        """
        return self.token_head(task).labels(features, mask, decoder=self.best_decoder(task))

    def decode_roles(self, task: str, features: Tensor, mask: Tensor, *, predicates: Tensor) -> Roles:
        """The best roles of an srl task from its features, by its best decoder.

        Args:
            task: which task.
            features: ``[B, T, H]``.
            mask: ``[B, T]``.
            predicates: (sentence, word), ``[N, 2]``.
        """
        labels = self.srl_head(task).labels(features, mask, predicates, decoder=self.best_decoder(task))
        return Roles(predicates, labels)

    def finder(self, task: str) -> str:
        """The predicate task that finds the predicates of the srl task ``task``.

        Raises:
            CheckpointError: when there is none.
        """
        finder = self.tasks[task].spec.predicates
        if finder is None:
            raise CheckpointError(
                f"task {task!r} cannot label text: its spec names no predicate task; "
                f"train with tasks.{task}.predicates set to one"
            )
        return finder

    def _new_head(self, task: str, decoders: DecodersSpec) -> TokenHead | SRLHead:
        """A random head of a task."""
        return build_head(
            self.tasks[task].spec.head,
            in_features=self.sharing.out_features,
            labels=self.tasks[task].labels,
            scheme=self.tasks[task].scheme,
            decoders=decoders.count,
            own_dropout=decoders.own_dropout,
        )

    def _init_weights(self, module: nn.Module) -> None:
        """Let a module initialise what a loaded checkpoint lacks, which is memory that nobody wrote.

        In the constructor there is nothing to do: our modules have initialised themselves, the backbone by its own
        class. Resets write with ``torch.nn.init`` or ``transformers.initialization`` only, which transformers keeps
        from parameters that were loaded. A module is asked when it lacks a parameter or buffer of its own.
        """
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if self._constructed and reset is not None:
            reset()


def lay_ground(encoder: Encoder, sharing: SharingSpec, *, tasks: Iterable[Task]) -> Ground:
    """What a scheme is built on: the top blocks of the encoder are taken out of it when towers ask for them.

    Raises:
        ConfigError: when the encoder has no such blocks or layers, or towers ask for different numbers of them.
    """
    asked = {f"sharing.{key}": tower.layers for key, tower in transformer_towers(sharing)}
    word_labels = {task.name: len(task.labels) for task in tasks if isinstance(task.kind, TokenKind)}
    if isinstance(sharing, HardSharingSpec) and sharing.layer_attention:
        key = "sharing.layer_attention"
        if not isinstance(encoder, TransformerEncoder):
            raise ConfigError(
                f"{key}: mixes the layers of a transformer encoder, and this encoder is none; leave it out"
            )
        return Ground(encoder.out_features, layers=encoder.hand_out_layers(key=key), word_labels=word_labels)
    if not asked:
        return Ground(encoder.out_features, word_labels=word_labels)
    (first, layers), *others = asked.items()
    if not isinstance(encoder, TransformerEncoder):
        raise ConfigError(
            f"{first}.kind: 'transformer' copies blocks of a transformer encoder, and this encoder is none; "
            "use kind 'bilstm'"
        )
    for key, other in others:
        if other != layers:
            raise ConfigError(
                f"{key}.layers: got {other}, but {first}.layers is {layers}, and all towers of transformer blocks "
                "begin at one block of the encoder; give both the same"
            )
    return Ground(encoder.out_features, encoder.cut(layers, key=first), word_labels=word_labels)
