"""All decoders of a model as one system."""

from torch import Tensor

from seqmtl.errors import ConfigError
from seqmtl.modeling import Roles, SeqMTLModel


class Ensemble:
    """Reads labels off features by all decoders of a task together (Meyerson and Miikkulainen 2018, eq. 6).

    Decoded is the mean of the decoders' probabilities; of a CRF, whose probabilities are those of whole sequences, the
    mean of its scores, which is one CRF. It is there to compare with: pseudo-task augmentation predicts with one
    decoder. A task with one decoder says what it says without an ensemble.
    """

    def __init__(self, model: SeqMTLModel) -> None:
        """Take all decoders of ``model``.

        Raises:
            ConfigError: when no task has more than one.
        """
        if not model.config.decoders:
            raise ConfigError(
                "ensemble: each task has one decoder; train with pseudo_tasks.keep_decoders=true to keep all of them"
            )
        self.model = model

    def decode_words(self, task: str, features: Tensor, mask: Tensor) -> Tensor:
        """Label ids of a token-level task, ``[B, T]``."""
        return self.model.token_head(task).labels_of_ensemble(features, mask)

    def decode_roles(self, task: str, features: Tensor, mask: Tensor, *, predicates: Tensor) -> Roles:
        """Roles of the ``predicates`` ``[N, 2]``."""
        return Roles(predicates, self.model.srl_head(task).labels_of_ensemble(features, mask, predicates))
