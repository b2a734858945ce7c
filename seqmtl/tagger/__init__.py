"""Raw text to annotated documents."""

from seqmtl.tagger.tagger import Tagger

__all__ = ["Tagger"]
