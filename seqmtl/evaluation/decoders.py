"""What every decoder of a model says about rows.

K decoders, B sentences, T words, N predicates.
"""

from collections.abc import Sequence

import torch

from seqmtl.data.indexing import Indexer
from seqmtl.data.kinds import Frames, Predicates
from seqmtl.data.rows import Row
from seqmtl.evaluation.predictions import Prediction, frames_at, gold_predicates, predicate_words, word_tags
from seqmtl.modeling import SeqMTLModel


class EachDecoder:
    """Annotates sentences with each of K decoders of some tasks; a sentence is encoded once, whatever K is."""

    def __init__(self, model: SeqMTLModel, indexer: Indexer, *, tasks: Sequence[str]) -> None:
        """Annotate with ``tasks``, which all have as many decoders."""
        self.model = model
        self.indexer = indexer
        self.tasks = list(tasks)
        (self.decoders,) = {model.head(task).decoders for task in tasks}
        kinds = {task: model.tasks[task].kind for task in tasks}
        self._roles = [task for task, kind in kinds.items() if isinstance(kind, Frames)]
        self._finders = [task for task, kind in kinds.items() if isinstance(kind, Predicates)]
        self._tagged = [task for task in tasks if task not in (*self._roles, *self._finders)]

    @torch.inference_mode()
    def __call__(self, rows: Sequence[Row]) -> list[list[Prediction]]:
        """K predictions for each row; roles are those of its gold predicates."""
        model, inputs = self.model, self.indexer([row["tokens"] for row in rows]).to(self.model.device)
        features, mask = model.features(inputs, self.tasks), inputs.word_mask
        ids = {
            task: model.token_head(task).labels_of_each(features[task], mask).tolist()  # [K, B, T]
            for task in (*self._tagged, *self._finders)
        }
        found = {task: [predicate_words(of_one, rows) for of_one in ids[task]] for task in self._finders}
        given = [gold_predicates(row) for row in rows]
        wanted = [(b, word) for b, words in enumerate(given) for word in words or ()]
        where = torch.tensor(wanted, dtype=torch.long, device=mask.device).reshape(-1, 2)
        frames = {
            task: [
                frames_at(wanted, of_one, rows, model.tasks[task])
                for of_one in model.srl_head(task).labels_of_each(features[task], mask, where).tolist()  # [K, N, T]
            ]
            for task in self._roles
        }
        return [
            [
                Prediction(
                    tags={task: word_tags(ids[task][k][b], row, model.tasks[task]) for task in self._tagged},
                    predicates={task: found[task][k][b] for task in self._finders},
                    frames_of_gold={
                        task: [frames[task][k][b, word] for word in words]
                        for task in self._roles
                        if (words := given[b]) is not None
                    },
                )
                for k in range(self.decoders)
            ]
            for b, row in enumerate(rows)
        ]
