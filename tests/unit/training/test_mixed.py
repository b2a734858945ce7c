from seqmtl.data.mixture import Step
from seqmtl.training.mixed import Mixed


def test_rows_words_and_labels_of_all_steps_are_counted():
    long, short = {"tokens": ["a", "b", "c"]}, {"tokens": ["a"]}
    mixed = Mixed(["upos", "ner"])
    mixed.add(Step([("x", long), ("y", short)], [[("x", long)]]), {"upos": 4, "ner": 0})
    mixed.add(Step([("x", short)], []), {"upos": 1, "ner": 0})
    assert (mixed.rows, mixed.words, mixed.labelled) == ({"x": 2, "y": 1}, 5, {"upos": 5, "ner": 0})
