"""Encoder, sharing and the heads that label words as one ONNX graph.

B sentences, T words, L labels.
"""

import warnings
from collections.abc import Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from seqmtl.batch import CharacterInputs, Inputs, PieceInputs
from seqmtl.data.kinds import TokenKind
from seqmtl.errors import ConfigError
from seqmtl.modeling import SeqMTLModel
from seqmtl.sharing.meta_lstm import MetaLSTM
from seqmtl.tagger.onnx_bilstm import with_onnx_lstms
from seqmtl.tagger.speed import transformer_of
from seqmtl.tagger.tagger import Tagger

_SAMPLE = [["Anna", "gave", "Bob", "unbelievable", "books"], ["She", "slept", "."]]  # sizes that all differ, and no 1


class Emissions(nn.Module):
    """The label scores of every word: what the best decoder of each task reads off a sentence, before any Viterbi."""

    def __init__(self, model: SeqMTLModel, tasks: list[str]) -> None:
        """Score ``tasks``, which label words."""
        super().__init__()
        self.model = model
        self.tasks = tasks

    def forward(self, given: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Tensors as of ``tensors_of`` to scores ``[B, T, L]``, one for each task."""
        inputs = _inputs_of(given)
        features = self.model.features(inputs, self.tasks)
        return tuple(
            self.model.token_head(task).scores_of(
                features[task], inputs.word_mask, decoder=self.model.best_decoder(task)
            )
            for task in self.tasks
        )


def export_onnx(tagger: Tagger, file: str | Path) -> None:
    """Write a graph from index tensors to the label scores of each task that labels words, for batches of any shape.

    Its inputs are ``tensors_of(tagger.indexer(sentences))``, its outputs are called as the tasks. Viterbi, and roles,
    which need to know the predicates, are left to whoever runs it.

    Raises:
        ConfigError: when the encoder is no transformer, the sharing is a Meta-LSTM, whose steps ONNX has no operator
            for, no task labels words, or the extra ``onnx`` is not installed.
    """
    model = tagger.model
    transformer_of(model, option="export_onnx")
    if isinstance(model.sharing, MetaLSTM):
        raise ConfigError("export_onnx: is for all kinds of sharing but 'meta_lstm', which ONNX has no operator for")
    tasks = [name for name in tagger.layers if isinstance(model.tasks[name].kind, TokenKind)]
    if not tasks:
        raise ConfigError("export_onnx: no task of this tagger labels words")
    if find_spec("onnxscript") is None:
        raise ConfigError("export_onnx: needs onnxscript; pip install 'seqmtl[onnx]'")
    given = {name: tensor.to(model.device) for name, tensor in tensors_of(tagger.indexer(_SAMPLE)).items()}
    any_shape = {name: dict.fromkeys(range(tensor.ndim), torch.export.Dim.AUTO) for name, tensor in given.items()}
    emissions = with_onnx_lstms(Emissions(model, tasks)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # what torch and its exporter say of each other
        warnings.simplefilter("ignore", DeprecationWarning)
        program: Any = torch.onnx.export(
            emissions,
            kwargs={"given": given},  # as the last of the arguments it would be taken for options
            dynamo=True,
            dynamic_shapes={"given": any_shape},
            input_names=list(given),
            output_names=tasks,
            verbose=False,
        )
    program.save(file)


def tensors_of(inputs: Inputs) -> dict[str, Tensor]:
    """The tensors of ``inputs`` by name, those of its parts as ``pieces_ids``."""
    named: dict[str, Tensor] = {}
    for field in fields(inputs):
        value = getattr(inputs, field.name)
        if isinstance(value, Tensor):
            named[field.name] = value
        elif value is not None:
            named |= {f"{field.name}_{part.name}": getattr(value, part.name) for part in fields(value)}
    return named


def _inputs_of(named: Mapping[str, Tensor]) -> Inputs:
    """What ``tensors_of`` took apart."""
    parts: dict[str, Any] = {"pieces": PieceInputs, "characters": CharacterInputs}
    whole: dict[str, Any] = {name: tensor for name, tensor in named.items() if name.partition("_")[0] not in parts}
    for name, kind in parts.items():
        own = {key.removeprefix(f"{name}_"): tensor for key, tensor in named.items() if key.startswith(f"{name}_")}
        whole[name] = kind(**own) if own else None
    return Inputs(**whole)
