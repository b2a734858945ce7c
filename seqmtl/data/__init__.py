"""Corpora to batches: readers, alignment of words and sub-words, mixtures, collation, the toy corpus."""
