from hypothesis import given
from hypothesis import strategies as st

from seqmtl.evaluation import PRF
from seqmtl.evaluation.tally import sentence_counts, summed, tally, total

items = st.sets(st.tuples(st.sampled_from("ABC"), st.integers(0, 5)))


@given(items, items)
def test_tally_counts_each_label_as_its_definition_says(gold, predicted):
    expected = {
        label: PRF(
            correct=sum(item in gold for item in predicted if item[0] == label),
            predicted=sum(item[0] == label for item in predicted),
            gold=sum(item[0] == label for item in gold),
        )
        for label in sorted({label for label, _ in gold | predicted})
    }
    assert tally(gold, predicted) == expected


@given(st.lists(st.tuples(items, items)))
def test_labels_and_sentences_add_up_to_the_same_total(sentences):
    tallies = [tally(*pair) for pair in sentences]
    counts = sentence_counts(tallies)
    assert counts.shape == (len(sentences), 3)
    whole = total(summed(tallies))
    assert counts.sum(axis=0).tolist() == [whole.correct, whole.predicted, whole.gold]
