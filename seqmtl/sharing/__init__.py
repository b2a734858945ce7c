"""Word states to one feature tensor per task: one file per paper."""
