"""Readers: one file format each, from bytes to records."""
