"""The scores of this room as ``evaluate.Metric`` classes, for code that collects predictions in batches.

They need no hub: make them by their class, never with ``evaluate.load``. Several can be combined:

>>> import evaluate
>>> both = evaluate.combine([TokenAccuracy(keep_in_memory=True), SpanF1("bioes", keep_in_memory=True)])
>>> both.add_batch(predictions=[["S-PER", "O"]], references=[["S-PER", "S-LOC"]])
>>> {name: round(value, 2) for name, value in both.compute().items()}  # doctest: +NORMALIZE_WHITESPACE
{'token_accuracy_accuracy': 0.5, 'f1': 0.67, 'precision': 1.0, 'recall': 0.5, 'f1_strict': 0.67,
 'span_f1_accuracy': 0.5}

Without ``keep_in_memory``, evaluate collects the batches in files under ``HF_METRICS_CACHE``.

``_compute`` asks for its two arguments by name and takes no others, which is narrower than the base class declares.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import evaluate
from datasets import Features, List, Value

from seqmtl.errors import ConfigError, nearest
from seqmtl.evaluation.accuracy import token_scores
from seqmtl.evaluation.predicates import predicate_scores
from seqmtl.evaluation.spans import span_scores
from seqmtl.evaluation.srl import frame_scores
from seqmtl.labels import Frame, Scheme

_TJONG_2000 = """\
@inproceedings{tjong-kim-sang-buchholz-2000-introduction,
  title = "Introduction to the {CoNLL}-2000 Shared Task Chunking",
  author = "Tjong Kim Sang, Erik F. and Buchholz, Sabine",
  booktitle = "Fourth Conference on Computational Natural Language Learning",
  year = "2000",
}"""
_CARRERAS_2005 = """\
@inproceedings{carreras-marquez-2005-introduction,
  title = "Introduction to the {CoNLL}-2005 Shared Task: Semantic Role Labeling",
  author = "Carreras, Xavier and M{\\`a}rquez, Llu{\\'i}s",
  booktitle = "Ninth Conference on Computational Natural Language Learning",
  year = "2005",
}"""
_TAGS = List(Value("string"))
_WORDS = List(Value("int32"))
_FRAMES = List({"predicate": Value("int32"), "sense": Value("string"), "tags": List(Value("string"))})


class TokenAccuracy(evaluate.Metric):
    """Share of the words whose tag is right. Predictions and references: per sentence, a list of tags."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Accuracy of one tag per word.", each="a list of tags, one per word", feature=_TAGS, citation="")

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, predictions: Sequence[list[str]], references: Sequence[list[str]]
    ) -> dict[str, float]:
        return token_scores(references, predictions).values


class SpanF1(evaluate.Metric):
    """F1 of spans by conlleval's reading, and strict F1. Predictions and references: per sentence, a list of tags.

    The configuration names the scheme of the tags, as in ``SpanF1("bioes")``; evaluate's ``default`` is ``bio``.
    """

    def _info(self) -> evaluate.MetricInfo:
        self.scheme = _scheme(self.config_name)
        return _info(
            f"F1 of typed spans over {self.scheme} tags, as conlleval computes it.",
            each="a list of tags, one per word",
            feature=_TAGS,
            citation=_TJONG_2000,
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, predictions: Sequence[list[str]], references: Sequence[list[str]]
    ) -> dict[str, float]:
        return span_scores(references, predictions, scheme=self.scheme).values


class PredicateF1(evaluate.Metric):
    """F1 of predicate identification. Predictions and references: per sentence, a list of word positions."""

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "F1 of the words that are predicates.",
            each="a list of the word positions of its predicates",
            feature=_WORDS,
            citation=_CARRERAS_2005,
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, predictions: Sequence[list[int]], references: Sequence[list[int]]
    ) -> dict[str, float]:
        return predicate_scores(references, predictions).values


class SrlF1(evaluate.Metric):
    """F1 of semantic roles by the CoNLL-2005 rules. Predictions and references: per sentence, its ``srl_frames``."""

    def _info(self) -> evaluate.MetricInfo:
        return _info(
            "F1 of semantic role arguments by the rules of the CoNLL-2005 scorer.",
            each="a list of frames, each with predicate (word position), sense and tags (BIO, one per word)",
            feature=_FRAMES,
            citation=_CARRERAS_2005,
        )

    def _compute(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, predictions: Sequence[list[Mapping[str, Any]]], references: Sequence[list[Mapping[str, Any]]]
    ) -> dict[str, float]:
        return frame_scores(_frames(references), _frames(predictions)).values


def _info(description: str, *, each: str, feature: List, citation: str) -> evaluate.MetricInfo:
    return evaluate.MetricInfo(
        description=description,
        citation=citation,
        inputs_description=f"predictions, references: for each sentence, {each}",
        features=Features({"predictions": feature, "references": feature}),
    )


def _scheme(config_name: str) -> Scheme:
    if config_name == "default":
        return Scheme.BIO
    if config_name not in list(Scheme):
        raise ConfigError(
            f"SpanF1: got the scheme {config_name!r}; {nearest(config_name, [scheme.value for scheme in Scheme])}"
        )
    return Scheme(config_name)


def _frames(sentences: Sequence[Sequence[Mapping[str, Any]]]) -> list[list[Frame]]:
    return [[Frame.from_row(frame) for frame in frames] for frames in sentences]
