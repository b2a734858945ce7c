"""Towers: the stacks of layers that the schemes share, tie, mix and branch."""
