import subprocess
import sys

import pytest

from seqmtl.specs.recipe import RecipeSpec
from seqmtl.training import run
from seqmtl.training.allocation import keep_freed_memory

FAULTS = """
import resource, sys
import torch
from seqmtl.training.allocation import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def step():
    for _ in range(10):
        torch.zeros(2**24)  # 64 MiB, more than glibc keeps by itself
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, keep: bool) -> int:
    command = [sys.executable, "-c", FAULTS, "keep" if keep else "leave"]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_training_and_evaluation_keep_freed_memory(tiny, tmp_path, quiet, monkeypatch):
    called = []
    monkeypatch.setattr(run, "keep_freed_memory", lambda: called.append(True))
    tiny["training"]["max_steps"] = 1
    tiny["tasks"] = {"upos": tiny["tasks"]["upos"] | {"unseen_labels": "allow"}}
    run.train_recipe(RecipeSpec.parse(tiny, source="test"), tmp_path, console=quiet)
    run.evaluate_checkpoint(tmp_path)
    assert len(called) == 2


def test_freed_memory_comes_without_page_faults():
    if not keep_freed_memory():
        pytest.skip("this C library has no mallopt, or not these switches")
    assert faults(keep=True) < faults(keep=False) / 4
