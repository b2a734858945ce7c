"""Scores: how well a system annotated some sentences, and whether another one is better by more than luck.

Each kind of layer has a function that takes the gold and the predicted annotation of the same sentences, in this order,
and returns a ``TaskScore`` with its main score, the others, and the counts of every label. Scores are fractions.

>>> from seqmtl.evaluation import *
>>> from seqmtl.labels import Frame, Scheme
>>> gold = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
>>> predicted = [["B-PER", "I-PER", "O", "O"], ["O", "I-LOC"]]
>>> score = span_scores(gold, predicted, scheme=Scheme.BIO)
>>> round(score.main_value, 2), round(score.values["f1_strict"], 2), score.per_label["LOC"]
(0.8, 0.5, PRF(correct=1, predicted=1, gold=2))

Frames are judged by the rules of the CoNLL-2005 scorer: ``V`` does not count and ``C-X`` is a piece of ``X``.

>>> gold_frame = Frame(predicate=1, sense="say.01", tags=("B-ARG1", "B-V", "B-ARG0", "B-C-ARG1"))
>>> predicted_frame = Frame(predicate=1, sense="say.01", tags=("B-ARG1", "B-V", "B-ARG0", "O"))
>>> frame_scores([[gold_frame]], [[predicted_frame]]).values["srl_f1_official"]
0.5

To compare two systems, count per sentence and draw sentences again and again:

>>> better, worse = span_counts(gold, gold, scheme=Scheme.BIO), span_counts(gold, predicted, scheme=Scheme.BIO)
>>> worse
array([[1, 1, 2],
       [1, 1, 1]])
>>> comparison = paired_bootstrap(better, worse, samples=1000, seed=0)
>>> round(comparison.delta, 2), comparison.p_value > 0.05
(0.2, True)

Tables are printed by rich, and JSON holds every count:

>>> from rich.console import Console
>>> Console(width=80, color_system=None).print(label_table("ner", score))  # doctest: +NORMALIZE_WHITESPACE
                        ner, label by label
┏━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━┳━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━┓
┃ Label ┃ Precision ┃ Recall ┃     F1 ┃ Correct ┃ Predicted ┃ Gold ┃
┡━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━╇━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━┩
│ LOC   │    100.00 │  50.00 │  66.67 │       1 │         1 │    2 │
│ PER   │    100.00 │ 100.00 │ 100.00 │       1 │         1 │    1 │
└───────┴───────────┴────────┴────────┴─────────┴───────────┴──────┘
>>> scores_from_json(scores_to_json({"ner": score})) == {"ner": score}
True

The same scores are ``evaluate.Metric`` classes in ``seqmtl.evaluation.metrics``, which is imported on its own, because
evaluate brings torch with it.
"""

from seqmtl.evaluation.accuracy import token_counts, token_scores
from seqmtl.evaluation.bootstrap import Comparison, paired_bootstrap
from seqmtl.evaluation.predicates import predicate_counts, predicate_scores
from seqmtl.evaluation.report import comparison_table, label_table, score_table, scores_from_json, scores_to_json
from seqmtl.evaluation.scores import PRF, TaskScore
from seqmtl.evaluation.spans import span_counts, span_scores
from seqmtl.evaluation.srl import frame_counts, frame_scores

__all__ = [
    "PRF",
    "Comparison",
    "TaskScore",
    "comparison_table",
    "frame_counts",
    "frame_scores",
    "label_table",
    "paired_bootstrap",
    "predicate_counts",
    "predicate_scores",
    "score_table",
    "scores_from_json",
    "scores_to_json",
    "span_counts",
    "span_scores",
    "token_counts",
    "token_scores",
]
