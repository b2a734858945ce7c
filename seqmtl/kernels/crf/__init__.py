"""Linear-chain conditional random fields (Lafferty, McCallum and Pereira, ICML 2001): tensors in, tensors out.

``fast`` is what the library runs, ``reference`` is the plain form that it is held to in the tests; both have the same
``log_likelihood``: the score of the given labels less the log-partition. ``viterbi`` finds the best labels.
"""

from seqmtl.kernels.crf.fast import log_likelihood
from seqmtl.kernels.crf.viterbi import viterbi

__all__ = ["log_likelihood", "viterbi"]
