"""The embedded corpus.

>>> 1
1
"""

from seqmtl.data.toy.generate import generate

__all__ = ["generate"]
