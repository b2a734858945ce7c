"""Sentences to word states: pretrained transformers, and BiLSTMs over words and characters."""
