"""Meta-LSTM (Chen, Qiu, Liu and Huang, AAAI 2018): an LSTM whose weights another LSTM generates word by word.

With x the input of a word, h the state of the (basic) LSTM after the word before, and h' that of the Meta-LSTM, a step
is, METHODS.md section 3, with gates in the order g, i, f, o::

    g', i', f', o' = tanh, 3 x sigmoid of  W_m [x; h'; h] + b_m
    c' = g' i' + c' f' ;  h' = o' tanh(c') ;  z = W_z h'
    g, i, f, o = tanh, 3 x sigmoid of  W(z) [x; h] + b(z),   W(z) = P diag(z) Q,   b(z) = B z,   for each gate
    c = g i + c f ;  h = o tanh(c)

Each task runs this by itself, with its own P, Q and B; W_m, b_m and W_z are those of all tasks.

Three forms have the same signature, ``meta_lstm(inputs, mask, meta, basic, *, z_offset=0.0)``: ``reference`` is the
plain one, ``fast`` is what a CPU runs, and ``triton`` what a GPU runs, where Triton comes with torch. ``dispatch``
chooses; the environment variable ``SEQMTL_META_LSTM`` overrules it by the name of a form.

- ``inputs``: x, the same for all tasks, ``[1, B, T, D]``, or one for each, ``[K, B, T, D]``.
- ``mask``: True at real words, right-padded, ``[B, T]``.
- ``meta``, ``basic``: the weights, with one or two directions; the second one reads from right to left.
- ``z_offset``: what is added to z, 0 in the paper. With 1 and W_z = 0 each task has an ordinary LSTM, ``W = P Q``.

A padded word is never read, and gets 0. What stands at it may be anything finite.
"""

from seqmtl.kernels.meta_lstm.dispatch import meta_lstm
from seqmtl.kernels.meta_lstm.weights import BasicWeights, MetaStates, MetaWeights

__all__ = ["BasicWeights", "MetaStates", "MetaWeights", "meta_lstm"]
