from seqmtl.data.tasks import Task
from seqmtl.evaluation.annotations import errors, predicted_annotation
from seqmtl.evaluation.predictions import Prediction
from seqmtl.labels import Frame, LabelInventory
from seqmtl.specs.tasks import TaskSpec

SPECS = {
    "upos": {"layer": "upos", "head": {"kind": "softmax"}},
    "ner": {"layer": "ner_tags", "scheme": "bio", "head": {"kind": "crf"}},
    "predicate": {"layer": "srl_frames", "head": {"kind": "predicate"}},
    "srl": {"layer": "srl_frames", "head": {"kind": "srl"}, "predicates": "predicate"},
}
TASKS = {name: Task(name, TaskSpec.parse(spec, source="test"), LabelInventory(("O",))) for name, spec in SPECS.items()}
ROW = {
    "id": "1",
    "tokens": ["Anna", "left"],
    "upos": ["PROPN", "VERB"],
    "ner_tags": ["B-PER", "O"],
    "srl_frames": [{"predicate": 1, "sense": "leave.01", "tags": ["B-ARG0", "B-V"]}],
}
RIGHT = Frame(predicate=1, sense="", tags=("B-ARG0", "B-V"))
WRONG = Frame(predicate=1, sense="", tags=("O", "B-V"))


def prediction(upos: str = "PROPN", ner: str = "B-PER", frame: Frame = RIGHT) -> Prediction:
    return Prediction(
        tags={"upos": [upos, "VERB"], "ner": [ner, "O"]},
        predicates={"predicate": [1]},
        frames={"srl": [frame]},
        found_frames={"srl": [frame]},
    )


def test_a_row_is_shown_when_any_of_its_layers_is_wrong():
    said = [prediction(), prediction(upos="NOUN"), prediction(ner="O"), prediction(frame=WRONG)]
    rows = [{**ROW, "id": str(number)} for number in range(4)]
    found = list(errors(TASKS, rows, said))
    assert [row["id"] for row, _, _ in found] == ["1", "2", "3"]
    _, gold, predicted = found[1]
    assert gold.span_tags == {"ner": ("B-PER", "O")}
    assert predicted.span_tags == {"ner": ("O", "O")}
    assert gold.frames["srl"][0].sense == "leave.01"


def test_a_layer_that_the_row_lacks_is_no_mistake():
    row = {**ROW, "ner_tags": None}
    assert list(errors(TASKS, [row], [prediction(ner="B-LOC")])) == []


def test_predicates_that_have_frames_are_no_layer_of_their_own():
    assert set(predicted_annotation(TASKS, prediction(), n_words=2).frames) == {"srl"}
    alone = Prediction(predicates={"predicate": [1]})
    assert predicted_annotation(TASKS, alone, n_words=2).frames == {"predicate": (WRONG,)}
