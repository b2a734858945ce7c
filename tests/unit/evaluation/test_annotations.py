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
        frames_of_gold={"srl": [frame]},
        found_frames={"srl": [frame]},
    )


def test_a_row_is_shown_when_any_of_its_layers_is_wrong():
    said = [prediction(), prediction(upos="NOUN"), prediction(ner="O"), prediction(frame=WRONG)]
    rows = [{**ROW, "id": str(number)} for number in range(4)]
    found = list(errors(TASKS, rows=rows, predictions=said, corpus="a"))
    assert [row["id"] for row, _, _ in found] == ["1", "2", "3"]
    _, gold, predicted = found[1]
    assert gold.span_tags == {"ner": ("B-PER", "O")}
    assert predicted.span_tags == {"ner": ("O", "O")}
    assert gold.frames["srl"][0].sense == "leave.01"


def test_a_layer_that_the_row_lacks_is_no_mistake():
    row = {**ROW, "ner_tags": None}
    assert list(errors(TASKS, rows=[row], predictions=[prediction(ner="B-LOC")], corpus="a")) == []


def test_a_missed_or_spurious_predicate_is_shown():
    found = [Prediction(predicates={"predicate": words}) for words in ([1], [], [0, 1])]
    wrong = list(errors(TASKS, rows=[ROW] * 3, predictions=found, corpus="a"))
    assert [gold.frames for _, gold, _ in wrong] == [{"predicate": (WRONG,)}] * 2
    assert [[frame.predicate for frame in said.frames["predicate"]] for _, _, said in wrong] == [[], [0, 1]]


def test_two_frames_on_one_predicate_are_one_predicate_and_both_shown():
    row = {**ROW, "srl_frames": [*ROW["srl_frames"], {"predicate": 1, "sense": "leave.02", "tags": ["O", "B-V"]}]}
    said = Prediction(predicates={"predicate": [1]}, frames_of_gold={"srl": [RIGHT, RIGHT]})
    [(_, gold, predicted)] = errors(TASKS, rows=[row], predictions=[said], corpus="a")
    assert [frame.sense for frame in gold.frames["srl"]] == ["leave.01", "leave.02"]
    assert predicted.frames["srl"] == (RIGHT, RIGHT)
    assert len(gold.frames["predicate"]) == 1


def test_a_task_that_does_not_learn_from_a_corpus_makes_no_mistakes_there():
    spec = TaskSpec.parse({**SPECS["upos"], "corpora": ["a"]}, source="test")
    tasks = {"upos": Task("upos", spec, LabelInventory(("O",)))}
    wrong = [prediction(upos="NOUN")]
    assert len(list(errors(tasks, rows=[ROW], predictions=wrong, corpus="a"))) == 1
    assert list(errors(tasks, rows=[ROW], predictions=wrong, corpus="b")) == []


def test_predicates_that_have_frames_are_no_layer_of_their_own():
    assert set(predicted_annotation(TASKS, prediction(), n_words=2).frames) == {"srl"}
    alone = Prediction(predicates={"predicate": [1]})
    assert predicted_annotation(TASKS, alone, n_words=2).frames == {"predicate": (WRONG,)}
