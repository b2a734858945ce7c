import random
from collections import Counter

import pytest
from seqeval.metrics import f1_score

from seqmtl.errors import DataError
from seqmtl.evaluation import PRF, frame_counts, frame_scores
from seqmtl.labels import Frame, Scheme, Span, tags_of

LABELS = ("ARG0", "ARG1", "R-ARG0", "C-ARG0", "C-ARG1", "V", "C-V")


def frame(tags, *, predicate=0):
    """A frame from tags in short hand: A0 for ARG0, and so on."""
    return Frame(predicate, "x.01", tuple(tag.replace("A", "ARG") for tag in tags.split()))


def end_to_end(gold, predicted):
    return frame_scores(gold, predicted).values["srl_f1_end_to_end"]


def counts_of(gold, predicted):
    """Correct, predicted and gold arguments of one proposition."""
    return tuple(frame_counts([[frame(gold)]], [[frame(predicted)]])[0].tolist())


@pytest.mark.parametrize(
    ("case", "gold", "predicted", "expected"),
    [
        ("equal", "B-A0 B-V B-A1 I-A1", "B-A0 B-V B-A1 I-A1", (2, 2, 2)),
        ("V never counts", "B-A0 B-V O", "B-A0 O B-V", (1, 1, 1)),
        ("V alone", "O B-V", "O B-V", (0, 0, 0)),
        ("C-V belongs to V", "B-V B-A1 B-C-V", "B-V B-A1 O", (1, 1, 1)),
        ("C-V without V is V", "O B-A1 B-C-V", "O B-A1 O", (1, 1, 1)),
        ("wrong role", "B-A0 B-V", "B-A1 B-V", (0, 1, 1)),
        ("wrong boundary", "B-A0 I-A0 B-V", "B-A0 O B-V", (0, 1, 1)),
        ("R-X is a role", "B-A0 B-R-A0 B-V", "B-A0 B-R-A0 B-V", (2, 2, 2)),
        ("R-X is not X", "B-A0 B-R-A0 B-V", "B-A0 B-A0 B-V", (1, 2, 2)),
        ("R-X takes no C-X", "B-R-A0 B-V B-C-A0", "B-R-A0 B-V B-A0", (2, 2, 2)),
        ("C-R-X continues R-X", "B-R-A0 B-V B-C-R-A0", "B-R-A0 B-V B-C-R-A0", (1, 1, 1)),
        ("discontinuous is one argument", "B-A1 B-V B-C-A1", "B-A1 B-V B-C-A1", (1, 1, 1)),
        ("a lost piece: 1 FP and 1 FN", "B-A1 B-V B-C-A1", "B-A1 B-V O", (0, 1, 1)),
        ("a spurious piece: 1 FP and 1 FN", "B-A1 B-V O", "B-A1 B-V B-C-A1", (0, 1, 1)),
        ("two arguments are not two pieces", "B-A1 B-V B-C-A1", "B-A1 B-V B-A1", (0, 2, 1)),
        ("same ends, other pieces", "B-A1 O O B-C-A1", "B-A1 O B-C-A1 I-C-A1", (0, 1, 1)),
        ("same ends, one piece", "B-A1 O B-C-A1", "B-A1 I-A1 I-A1", (0, 1, 1)),
        ("same words, other pieces", "B-A1 I-A1 O", "B-A1 B-C-A1 O", (0, 1, 1)),
        ("three pieces", "B-A1 B-V B-C-A1 O B-C-A1", "B-A1 B-V B-C-A1 O B-C-A1", (1, 1, 1)),
        ("three pieces, one lost", "B-A1 B-V B-C-A1 O B-C-A1", "B-A1 B-V B-C-A1 O O", (0, 1, 1)),
        ("C-X without X is X", "O B-V B-A1", "O B-V B-C-A1", (1, 1, 1)),
        ("C-X before X is X", "B-A1 B-V B-A1", "B-C-A1 B-V B-A1", (2, 2, 2)),
        ("C-X continues an orphan C-X", "B-A1 B-V B-C-A1", "B-C-A1 B-V B-C-A1", (1, 1, 1)),
        ("C-X joins the latest X", "B-A1 O B-A1 O B-C-A1", "B-A1 O B-A1 O O", (1, 2, 2)),
        ("C-X joins only its own X", "B-A0 B-A1 B-C-A0", "B-A0 B-A1 O", (1, 2, 2)),
        ("nested", "B-A1 B-A0 B-V B-C-A1", "B-A1 B-A0 B-V B-C-A1", (2, 2, 2)),
        ("nested, inner wrong", "B-A1 B-A0 B-V B-C-A1", "B-A1 B-A2 B-V B-C-A1", (1, 2, 2)),
        ("nested, outer wrong", "B-A1 B-A0 B-V B-C-A1", "B-A1 B-A0 B-V O", (1, 2, 2)),
        ("crossing", "B-A0 B-A1 B-V B-C-A0 B-C-A1", "B-A0 B-A1 B-V B-C-A0 B-C-A1", (2, 2, 2)),
        ("crossing, pieces swapped", "B-A0 B-A1 B-V B-C-A0 B-C-A1", "B-A0 B-A1 B-V B-C-A1 B-C-A0", (0, 2, 2)),
        ("crossing read as nested", "B-A0 B-A1 B-V B-C-A0 B-C-A1", "B-A0 B-A1 B-V O B-C-A0", (0, 2, 2)),
        ("ill-formed tags are read leniently", "B-A0 I-A0 B-V B-A1", "I-A0 I-A0 B-V I-A1", (2, 2, 2)),
    ],
)
def test_sr3_hand_worked_cases(case, gold, predicted, expected):
    assert counts_of(gold, predicted) == expected, case


def test_sr3_counts_per_role():
    gold, predicted = frame("B-A1 B-A0 B-R-A0 B-V B-C-A1"), frame("B-A1 B-A0 B-A0 B-V O")
    assert frame_scores([[gold]], [[predicted]]).per_label == {
        "ARG0": PRF(correct=1, predicted=2, gold=1),
        "ARG1": PRF(correct=0, predicted=1, gold=1),
        "R-ARG0": PRF(correct=0, predicted=0, gold=1),
    }


def test_sr3_missing_proposition_loses_its_arguments_and_an_extra_one_is_skipped():
    gold = [[frame("B-A0 B-V O", predicate=1), frame("B-A0 O B-V", predicate=2)]]
    predicted = [[frame("B-V B-A1 B-A1", predicate=0), frame("B-A0 B-V O", predicate=1)]]
    score = frame_scores(gold, predicted)
    assert score.main == "srl_f1_official"
    assert score.per_label == {"ARG0": PRF(correct=1, predicted=1, gold=2)}
    assert (score.values["precision"], score.values["recall"]) == (1.0, 0.5)
    assert score.main_value == PRF(1, 1, 2).f1
    assert score.values["srl_f1_end_to_end"] == PRF(1, 3, 2).f1
    # with V: the gold flat tags hold 4 spans, the paired prediction 2 of them
    assert score.values["span_f1"] == PRF(2, 2, 4).f1
    assert frame_counts(gold, predicted).tolist() == [[1, 1, 2]]


def test_propositions_are_paired_by_predicate_and_not_by_order():
    first, second = frame("B-V B-A1 O", predicate=0), frame("B-A0 O B-V", predicate=2)
    assert frame_counts([[first, second]], [[second, first]]).tolist() == [[2, 2, 2]]


def test_propositions_of_one_predicate_are_paired_in_order():
    left, right = frame("B-V B-A1 O"), frame("B-V O B-A1")
    assert frame_counts([[left, right]], [[left, right]]).tolist() == [[2, 2, 2]]
    assert frame_counts([[left, right]], [[right, left]]).tolist() == [[0, 2, 2]]
    assert frame_counts([[left, right]], [[left]]).tolist() == [[1, 1, 2]]
    assert end_to_end([[left]], [[left, right]]) == PRF(1, 2, 1).f1


def test_every_predicate_of_a_sentence_is_judged_separately():
    gold = [[frame("B-V B-A1 O", predicate=0), frame("O B-A1 B-V", predicate=2)]]
    swapped = [[frame("O B-A1 O", predicate=0), frame("O B-A0 B-V", predicate=2)]]
    assert frame_counts(gold, swapped).tolist() == [[1, 2, 2]]


@pytest.mark.parametrize("sentences", [[], [[]], [[], []]])
def test_sr4_no_predicate_gives_zero(sentences):
    score = frame_scores(sentences, sentences)
    assert (set(score.values.values()), score.per_label) == ({0.0}, {})
    assert frame_counts(sentences, sentences).shape == (len(sentences), 3)


def test_sides_that_differ_in_shape_are_refused():
    with pytest.raises(DataError, match=r"gold has 1 sentences and predicted has 0"):
        frame_scores([[]], [])
    with pytest.raises(
        DataError, match=r"sentence 1, predicate 0: the gold frame has 2 tags and the predicted one has 1"
    ):
        frame_scores([[], [frame("B-V O")]], [[], [frame("B-V")]])


# The oracle works on the column format that srl-eval.pl reads, "(A0*", "*", "*)", and follows the rules of its manual.


def column(tags):
    """Write valid BIO tags as one bracket per word."""
    cells = []
    for tag, following in zip(tags, [*tags[1:], "O"], strict=True):
        opened = f"({tag[2:]}" if tag.startswith("B-") else ""
        closed = ")" if tag != "O" and not following.startswith("I-") else ""
        cells.append(f"{opened}*{closed}")
    return cells


def read_column(cells):
    """Return {(first word, last word): (role, written out pieces)} of one column, V left out."""
    phrases, opened = [], None
    for word, cell in enumerate(cells):
        if cell.startswith("("):
            opened = (cell[1 : cell.index("*")], word)
        if cell.endswith(")"):
            phrases.append((*opened, word))
    found, latest = [], {}
    for role, first, last in phrases:
        if role.startswith("C-") and role[2:] in latest:
            latest[role[2:]].append((first, last))
            continue
        role = role[2:] if role.startswith("C-") else role
        latest[role] = [(first, last)]
        found.append((role, latest[role]))
    return {(pieces[0][0], pieces[-1][1]): (role, str(pieces)) for role, pieces in found if role != "V"}


def oracle(gold, predicted, *, end_to_end):
    """(correct, predicted, gold) of one sentence whose propositions are {predicate: column}."""
    counts = Counter()
    for predicate in gold.keys() | (predicted.keys() if end_to_end else set()):
        left, right = (read_column(side.get(predicate, [])) for side in (gold, predicted))
        counts["gold"] += len(left)
        counts["predicted"] += len(right)
        counts["correct"] += sum(left.get(place) == argument for place, argument in right.items())
    return [counts["correct"], counts["predicted"], counts["gold"]]


def random_tags(rng, *, length):
    """Valid BIO tags over a small set of roles, rich in C-X."""
    spans, start = [], 0
    while start < length:
        end = min(length, start + rng.randint(1, 3))
        if rng.random() < 0.7:
            spans.append(Span(start, end, rng.choice(LABELS)))
        start = end
    return tags_of(spans, length=length, scheme=Scheme.BIO)


def random_sentences(*, seed, sentences=60):
    """Pairs of {predicate: tags}: the prediction keeps, changes, drops and adds propositions."""
    rng = random.Random(seed)
    for _ in range(sentences):
        length = rng.randint(3, 9)
        gold = {word: random_tags(rng, length=length) for word in range(length) if rng.random() < 0.4}
        predicted = {word: random_tags(rng, length=length) for word in range(length) if rng.random() < 0.2}
        predicted |= {word: tags for word, tags in gold.items() if rng.random() < 0.5}
        yield gold, predicted


def frames(propositions):
    return [Frame(word, "x.01", tuple(tags)) for word, tags in propositions.items()]


@pytest.mark.parametrize("seed", range(5))
def test_sr3_counts_equal_an_independent_scorer_of_the_column_format(seed):
    pairs = list(random_sentences(seed=seed))
    gold, predicted = [frames(left) for left, _ in pairs], [frames(right) for _, right in pairs]
    columns = [tuple({word: column(tags) for word, tags in side.items()} for side in pair) for pair in pairs]
    official = [oracle(*pair, end_to_end=False) for pair in columns]
    assert frame_counts(gold, predicted).tolist() == official
    every = [oracle(*pair, end_to_end=True) for pair in columns]
    assert [end_to_end([g], [p]) for g, p in zip(gold, predicted, strict=True)] == [PRF(*row).f1 for row in every]
    assert end_to_end(gold, predicted) == PRF(*(sum(part) for part in zip(*every, strict=True))).f1
    assert 0 < sum(row[0] for row in official) < sum(row[2] for row in official)


@pytest.mark.parametrize("seed", range(3))
def test_counts_add_up_to_the_score_and_span_f1_is_seqevals(seed):
    pairs = list(random_sentences(seed=seed))
    gold, predicted = [frames(left) for left, _ in pairs], [frames(right) for _, right in pairs]
    score = frame_scores(gold, predicted)
    assert PRF(*frame_counts(gold, predicted).sum(axis=0).tolist()).f1 == score.main_value
    flat = [(tags, right.get(word, ["O"] * len(tags))) for left, right in pairs for word, tags in left.items()]
    expected = f1_score([tags for tags, _ in flat], [tags for _, tags in flat], zero_division=0)
    assert score.values["span_f1"] == pytest.approx(expected, abs=1e-12)
