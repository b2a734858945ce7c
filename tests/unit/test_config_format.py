import json

import pytest
from transformers import AutoConfig

from seqmtl.config_format import FORMAT_VERSION, refuse_code, upgraded
from seqmtl.configuration import SeqMTLConfig
from seqmtl.errors import CheckpointError

OLD = {
    "model_type": "seqmtl",
    "format_version": 1,
    "encoder": {"kind": "transformer", "pretrained": "/home/anna/bert", "revision": None},
    "backbone": {"model_type": "bert", "_name_or_path": "/home/anna/bert", "hidden_size": 16},
    "tasks": [],
}


def test_format_1_forgets_where_files_lay():
    found = upgraded(OLD)
    assert found["format_version"] == FORMAT_VERSION == 2
    assert found["encoder"] == {"kind": "transformer", "pretrained": "bert", "revision": None}
    assert found["backbone"] == {"model_type": "bert", "hidden_size": 16}
    assert OLD["encoder"]["pretrained"] == "/home/anna/bert"


def test_todays_format_stays_as_it_is():
    content = upgraded(OLD)
    assert upgraded(content) == content


@pytest.mark.parametrize("loader", [SeqMTLConfig, AutoConfig])
def test_a_file_of_format_1_is_read_and_written_as_format_2(loader, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(OLD))
    config = loader.from_pretrained(tmp_path)
    assert config.encoder_spec.pretrained == "bert"
    config.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text)["format_version"] == 2
    assert "/home" not in text


@pytest.mark.parametrize("version", [None, 0, -1, "2", 2.0, True, [2]])
def test_a_version_that_never_was(version):
    with pytest.raises(CheckpointError, match=r"config\.json: format_version is .*; this release reads 1 to 2"):
        upgraded(OLD | {"format_version": version})


def test_a_newer_version_says_what_to_do():
    with pytest.raises(CheckpointError, match="format 3 is newer than 2, the last that this release reads; upgrade"):
        AutoConfig.for_model("seqmtl").from_dict(OLD | {"format_version": 3})


@pytest.mark.parametrize("key", ["auto_map", "attn_implementation", "quantization_config", "transformers_weights"])
def test_code_and_other_files_are_refused_in_a_configuration_and_inside_it(key):
    with pytest.raises(CheckpointError, match=rf"config\.json: {key} is 'x'; seqmtl runs no code"):
        refuse_code({key: "x"})
    with pytest.raises(CheckpointError, match=rf"tok\.json: backbone\.{key} is 'x'"):
        refuse_code({"backbone": {key: "x"}}, where="tok.json")
    refuse_code({key: None, "backbone": {key: None}})
