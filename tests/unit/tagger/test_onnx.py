"""The model as an ONNX graph, run by onnxruntime."""

import pytest
import torch

from seqmtl import ConfigError, Tagger
from seqmtl.specs.sharing import CrossStitchSpec, MetaLSTMSpec
from seqmtl.tagger.onnx import Emissions, export_onnx, tensors_of

SENTENCES = [
    [["Anna", "gave", "Bob", "the", "book", "."], ["She", "slept"]],
    [["Yes"], ["the", "old", "man"] * 12, ["unbelievable"]],  # the second is longer than a window
    [["Yes"]],
    [[], ["She", "slept"]],
]


CNN, BILSTM = ({"kind": kind, "dim": 8, "width": 16} for kind in ("cnn", "bilstm"))
TOWERS = CrossStitchSpec.parse(
    {"kind": "cross_stitch", "tower": {"kind": "bilstm", "layers": 2, "width": 8}}, source="test"
)
RECURRENT = {"chunk": {"kind": "crf", "bilstm": 8}, "ner": {"kind": "softmax", "bilstm": 6}}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("characters", "heads", "sharing"),
    [(None, None, None), (CNN, None, None), (BILSTM, None, None), (None, RECURRENT, None), (None, None, TOWERS)],
    ids=["pieces", "spelling", "spelling by a BiLSTM", "heads with BiLSTMs", "towers"],
)
def test_onnxruntime_gives_the_scores_of_torch(tiny_model, tmp_path, characters, heads, sharing):
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    tiny = tiny_model(characters=characters, case=True, heads=heads, sharing=sharing)
    with torch.no_grad():  # what starts at zero would not be seen
        for parameter in tiny.model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    tagger = Tagger(tiny.model, tiny.indexer)
    export_onnx(tagger, tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert set(names) == {"upos", "chunk", "ner"}
    for sentences in SENTENCES:
        given = tensors_of(tiny.indexer(sentences))
        found = session.run(None, {name: tensor.numpy() for name, tensor in given.items()})
        with torch.no_grad():
            wanted = Emissions(tiny.model, names)(given)
        for ours, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(torch.from_numpy(ours), theirs, rtol=1e-4, atol=1e-4)


def test_what_cannot_be_exported_is_refused(tiny_run, tiny_model, tmp_path):
    with pytest.raises(ConfigError, match="export_onnx: is for encoders of kind 'transformer'"):
        export_onnx(Tagger.from_pretrained(tiny_run), tmp_path / "model.onnx")
    tiny = tiny_model(sharing=MetaLSTMSpec.parse({"kind": "meta_lstm"}, source="test"))
    with pytest.raises(ConfigError, match="all kinds of sharing but 'meta_lstm'"):
        export_onnx(Tagger(tiny.model, tiny.indexer), tmp_path / "model.onnx")
    tiny = tiny_model("predicate", "srl")
    with pytest.raises(ConfigError, match="no task of this tagger labels words"):
        export_onnx(Tagger(tiny.model, tiny.indexer), tmp_path / "model.onnx")
