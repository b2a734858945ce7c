"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, ICML 2001): tensors in, tensors out.

``fast`` is what the library runs, ``reference`` is the plain form that it is held to in the tests; both have the same
``log_partition``. ``path_score`` scores given labels, ``viterbi`` finds the best ones. The negative log-likelihood of a
sentence is ``log_partition(...) - path_score(...)``.
"""

from seqmtl.kernels.crf.fast import log_partition
from seqmtl.kernels.crf.score import path_score
from seqmtl.kernels.crf.viterbi import viterbi

__all__ = ["log_partition", "path_score", "viterbi"]
