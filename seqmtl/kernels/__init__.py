"""Sequence operators, tensors in and tensors out: the forms that are fast, and the plain ones that they are held to."""
