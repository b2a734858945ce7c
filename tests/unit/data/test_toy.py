"""The embedded corpus: valid rows, honest splits, and the constructions it promises."""

import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

import seqmtl
from seqmtl.data.toy import generate
from seqmtl.data.toy.morphology import article_before, plural, verb_forms
from seqmtl.data.toy.tree import FrameDraft, Phrase, Token, chunk, to_row
from seqmtl.data.toy.verbs import VERBS
from seqmtl.data.toy.wordlist import Split, WordList, home, words
from seqmtl.errors import DataError

Row = dict[str, Any]

LAYERS = ("upos", "xpos", "chunk_tags", "ner_tags")
OPEN = ("NOUN", "PROPN", "VERB", "ADJ")
UPOS = set("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ VERB".split())
CHUNKS = {"NP", "VP", "PP", "ADVP", "SBAR", "ADJP", "PRT"}
ENTITIES = {"PER", "LOC", "ORG", "MISC"}
ROLES = set("V ARG0 ARG1 ARG2 ARGM-TMP ARGM-LOC ARGM-MNR ARGM-MOD ARGM-NEG R-ARG0 R-ARG1 C-ARG1".split())


@pytest.fixture(scope="module")
def train() -> list[Row]:
    return generate("train", n=2500)


@pytest.fixture(scope="module")
def dev() -> list[Row]:
    return generate("dev", n=300)


@pytest.fixture(scope="module")
def test() -> list[Row]:
    return generate("test", n=300)


@pytest.fixture(scope="module")
def everything(train: list[Row], dev: list[Row], test: list[Row]) -> list[Row]:
    return train + dev + test


def is_strict_bio(tags: list[str]) -> bool:
    before = ["O", *tags[:-1]]
    return all(tag[:2] != "I-" or previous in (f"B-{tag[2:]}", tag) for previous, tag in zip(before, tags, strict=True))


def kinds(tags: list[str]) -> set[str]:
    return {tag[2:] for tag in tags if tag != "O"}


def spans(tags: list[str], label: str) -> list[tuple[int, int]]:
    starts = [i for i, tag in enumerate(tags) if tag == f"B-{label}"]
    ends = [next((j for j in range(i + 1, len(tags)) if tags[j] != f"I-{label}"), len(tags)) for i in starts]
    return list(zip(starts, ends, strict=True))


def text(row: Row, start: int, end: int) -> str:
    return " ".join(row["tokens"][start:end])


# Determinism


def test_same_call_gives_same_rows() -> None:
    assert generate("dev", n=50, seed=3) == generate("dev", n=50, seed=3)


def test_smaller_corpus_is_a_prefix_of_a_larger_one() -> None:
    assert generate("train", n=20) == generate("train", n=60)[:20]


def test_seeds_and_splits_differ() -> None:
    first, second = generate("train", n=100, seed=0), generate("train", n=100, seed=1)
    assert sum(a["tokens"] == b["tokens"] for a, b in zip(first, second, strict=True)) <= 2


def test_rows_depend_neither_on_the_hash_seed_nor_on_torch() -> None:
    # A bare parent package keeps the import of the whole library out of the subprocess.
    program = (
        "import json, sys, types\n"
        f"sys.modules['seqmtl'] = types.ModuleType('seqmtl'); sys.modules['seqmtl'].__path__ = {seqmtl.__path__!r}\n"
        "from seqmtl.data.toy import generate\n"
        "assert not {'torch', 'datasets', 'transformers'} & set(sys.modules)\n"
        "print(json.dumps(generate('test', n=15)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    answer = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(answer.stdout) == generate("test", n=15)


def test_ids_name_split_and_number() -> None:
    assert [row["id"] for row in generate("train", n=18)][-1] == "toy-train-00017"


def test_unknown_split_is_named_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"'tests'.*'test'"):
        generate("tests", n=1)


def test_no_rows_is_legal() -> None:
    assert generate("train", n=0) == []


# Every row is valid


def test_layers_have_one_tag_per_word(everything: list[Row]) -> None:
    for row in everything:
        assert {len(row[layer]) for layer in LAYERS} == {len(row["tokens"])}, row["id"]
        assert all(len(frame["tags"]) == len(row["tokens"]) for frame in row["srl_frames"]), row["id"]


def test_words_are_not_empty_and_hold_no_blank(everything: list[Row]) -> None:
    assert all(word and not any(map(str.isspace, word)) for row in everything for word in row["tokens"])


def test_sentences_begin_with_a_capital(everything: list[Row]) -> None:
    first = [next(word for word in row["tokens"] if word != '"') for row in everything]
    assert all(not word[0].islower() for word in first)


def test_tags_are_strict_bio(everything: list[Row]) -> None:
    for row in everything:
        sequences = [row["chunk_tags"], row["ner_tags"], *(frame["tags"] for frame in row["srl_frames"])]
        assert all(map(is_strict_bio, sequences)), row["id"]


def test_frames_mark_their_predicate_once(everything: list[Row]) -> None:
    for row in everything:
        places = [frame["predicate"] for frame in row["srl_frames"]]
        assert places == sorted(set(places)), row["id"]
        for frame in row["srl_frames"]:
            verbs = [i for i, tag in enumerate(frame["tags"]) if tag.endswith("-V")]
            assert verbs == [frame["predicate"]], row["id"]
            assert frame["tags"][frame["predicate"]] == "B-V", row["id"]


def test_core_roles_occur_once_in_a_frame(everything: list[Row]) -> None:
    for row in everything:
        for frame in row["srl_frames"]:
            counts = Counter(tag for tag in frame["tags"] if tag.startswith("B-ARG") and "ARGM" not in tag)
            assert all(count == 1 for count in counts.values()), row["id"]


def test_reference_and_continuation_follow_what_they_belong_to(everything: list[Row]) -> None:
    for row in everything:
        for frame in row["srl_frames"]:
            for prefix in ("R-", "C-"):
                for label in [label for label in kinds(frame["tags"]) if label.startswith(prefix)]:
                    assert f"B-{label[2:]}" in frame["tags"][: frame["tags"].index(f"B-{label}")], row["id"]


def test_tag_sets_are_the_documented_ones(everything: list[Row]) -> None:
    assert {tag for row in everything for tag in row["upos"]} == UPOS
    assert set().union(*(kinds(row["chunk_tags"]) for row in everything)) == CHUNKS
    assert set().union(*(kinds(row["ner_tags"]) for row in everything)) == ENTITIES
    assert set().union(*(kinds(frame["tags"]) for row in everything for frame in row["srl_frames"])) == ROLES


# Linguistic rules that every row must keep


def test_auxiliaries_are_never_predicates(everything: list[Row]) -> None:
    assert any("AUX" in row["upos"] for row in everything)
    for row in everything:
        for frame in row["srl_frames"]:
            assert row["upos"][frame["predicate"]] in ("VERB", "NOUN"), row["id"]


def test_every_verb_is_a_predicate(everything: list[Row]) -> None:
    for row in everything:
        predicates = {frame["predicate"] for frame in row["srl_frames"]}
        assert {i for i, tag in enumerate(row["upos"]) if tag == "VERB"} <= predicates, row["id"]


def test_have_is_auxiliary_or_predicate(everything: list[Row]) -> None:
    forms = ("have", "has", "had")
    tags = Counter(
        tag for row in everything for word, tag in zip(row["tokens"], row["upos"], strict=True) if word in forms
    )
    assert tags["AUX"] > 20
    assert tags["VERB"] > 20


def test_be_is_never_a_verb(everything: list[Row]) -> None:
    forms = ("is", "are", "was", "were", "be", "been", "being")
    tags = {tag for row in everything for word, tag in zip(row["tokens"], row["upos"], strict=True) if word in forms}
    assert tags == {"AUX"}


def test_a_and_an_suit_the_next_word(everything: list[Row]) -> None:
    pairs = [(a.lower(), b) for row in everything for a, b in zip(row["tokens"], row["tokens"][1:], strict=False)]
    assert all(article_before(after) == word for word, after in pairs if word in ("a", "an"))
    assert {"a", "an"} <= {word for word, _ in pairs}


def test_present_tense_agrees_with_a_pronoun_before_it(everything: list[Row]) -> None:
    for row in everything:
        for i in range(1, len(row["tokens"])):
            subject, tag = row["tokens"][i - 1].lower(), row["xpos"][i]
            if row["xpos"][i - 1] == "PRP" and subject in ("she", "he"):
                assert tag != "VBP", row["id"]
            if row["xpos"][i - 1] == "PRP" and subject in ("i", "we", "they"):
                assert tag != "VBZ", row["id"]


def test_possessive_opens_a_noun_chunk(everything: list[Row]) -> None:
    genitives = [row["chunk_tags"][i] for row in everything for i, tag in enumerate(row["xpos"]) if tag == "POS"]
    assert set(genitives) == {"B-NP"}


def test_prepositions_are_alone_in_their_chunk(everything: list[Row]) -> None:
    assert not any(tag == "I-PP" for row in everything for tag in row["chunk_tags"])


def test_infinitival_to_is_inside_a_verb_chunk(everything: list[Row]) -> None:
    found = {row["chunk_tags"][i] for row in everything for i, tag in enumerate(row["xpos"]) if tag == "TO"}
    assert found == {"B-VP", "I-VP"}


def test_punctuation_is_in_no_chunk_except_between_adjectives(everything: list[Row]) -> None:
    for row in everything:
        for i, tag in enumerate(row["upos"]):
            assert tag != "PUNCT" or row["chunk_tags"][i] in ("O", "I-NP"), row["id"]
        assert row["chunk_tags"][-1] == "O" or row["upos"][-1] != "PUNCT"


def test_no_two_commas_meet(everything: list[Row]) -> None:
    assert not any(", ," in " ".join(row["tokens"]) or ", ." in " ".join(row["tokens"]) for row in everything)


# What the corpus contains


def _has_word(word: str, layer: str, tag: str) -> Callable[[Row], bool]:
    return lambda row: any(w.lower() == word and t == tag for w, t in zip(row["tokens"], row[layer], strict=True))


def _has_role(label: str) -> Callable[[Row], bool]:
    return lambda row: any(f"B-{label}" in frame["tags"] for frame in row["srl_frames"])


def _has_object_relative(row: Row) -> bool:
    return any(
        f"B-{role}" in frame["tags"] and frame["tags"].index(f"B-{role}") < frame["tags"].index("B-ARG0")
        for frame in row["srl_frames"]
        for role in ("R-ARG1",)
        if "B-ARG0" in frame["tags"]
    )


def _by_phrase(row: Row, *, wanted: bool) -> bool:
    for frame in row["srl_frames"]:
        place = frame["predicate"]
        passive = row["xpos"][place] == "VBN" and row["tokens"][place - 1] in ("was", "were", "is", "are", "been", "be")
        by = any(text(row, *span).startswith("by ") for span in spans(frame["tags"], "ARG0"))
        if passive and by is wanted:
            return True
    return False


def _double_object(row: Row) -> bool:
    for frame in row["srl_frames"]:
        arg1, arg2 = spans(frame["tags"], "ARG1"), spans(frame["tags"], "ARG2")
        if arg1 and arg2 and frame["predicate"] + 1 == arg2[0][0] and arg2[0][1] == arg1[0][0]:
            return row["upos"][arg1[0][0]] in ("DET", "PRON", "NOUN", "PROPN")
    return False


def _to_dative(row: Row) -> bool:
    return any(
        text(row, *span).startswith("to ") and row["xpos"][span[0]] == "IN"
        for frame in row["srl_frames"]
        for span in spans(frame["tags"], "ARG2")
    )


def _that_clause(row: Row) -> bool:
    return any(
        row["chunk_tags"][start] == "B-SBAR" for frame in row["srl_frames"] for start, _ in spans(frame["tags"], "ARG1")
    )


def _fronted_adjunct(row: Row) -> bool:
    return any(frame["tags"][0] in ("B-ARGM-TMP", "B-ARGM-LOC") for frame in row["srl_frames"])


def _shared_subject(row: Row) -> bool:
    frames = [(frame, spans(frame["tags"], "ARG0")) for frame in row["srl_frames"]]
    finite = [(f["predicate"], s[0]) for f, s in frames if s and row["xpos"][f["predicate"]] in ("VBD", "VBZ", "VBP")]
    return any(a[1] == b[1] and a[0] < b[0] and "CCONJ" in row["upos"][a[0] : b[0]] for a in finite for b in finite)


def _nominal_predicate(row: Row) -> bool:
    return any(row["upos"][frame["predicate"]] == "NOUN" for frame in row["srl_frames"])


def _nested_prepositions(row: Row) -> bool:
    return any(
        row["chunk_tags"][start:end].count("B-PP") >= 2
        for frame in row["srl_frames"]
        for label in ("ARG1", "ARG2", "ARGM-LOC")
        for start, end in spans(frame["tags"], label)
    )


CONSTRUCTIONS: dict[str, Callable[[Row], bool]] = {
    "subject relative": _has_role("R-ARG0"),
    "object relative": _has_object_relative,
    "split report or raising": _has_role("C-ARG1"),
    "passive with by": lambda row: _by_phrase(row, wanted=True),
    "passive without by": lambda row: _by_phrase(row, wanted=False),
    "double object": _double_object,
    "to-dative": _to_dative,
    "that-clause": _that_clause,
    "question": lambda row: row["tokens"][-1] == "?",
    "imperative": lambda row: row["xpos"][0] == "VB",
    "modal": _has_role("ARGM-MOD"),
    "negation": _has_role("ARGM-NEG"),
    "fronted adjunct": _fronted_adjunct,
    "nested prepositions": _nested_prepositions,
    "coordinated verb phrases": _shared_subject,
    "nominal predicate": _nominal_predicate,
    "particle": lambda row: "B-PRT" in row["chunk_tags"],
    "fragment": lambda row: not {"VERB", "AUX"} & set(row["upos"]) and row["srl_frames"] == [],
    "copula without frame": lambda row: "AUX" in row["upos"] and row["srl_frames"] == [],
    "greeting": lambda row: row["tokens"][0] == "Dear",
    "quotation": lambda row: '"' in row["tokens"],
    "entity with of": lambda row: any(
        t == "of" and n == "I-ORG" for t, n in zip(row["tokens"], row["ner_tags"], strict=True)
    ),
    "her as object": _has_word("her", "xpos", "PRP"),
    "her as possessive": _has_word("her", "xpos", "PRP$"),
    "that as determiner": _has_word("that", "xpos", "DT"),
    "that as conjunction": _has_word("that", "xpos", "IN"),
    "that as relative": _has_word("that", "xpos", "WDT"),
    "to as preposition": _has_word("to", "xpos", "IN"),
    "to before a verb": _has_word("to", "xpos", "TO"),
    "plans as noun": _has_word("plans", "xpos", "NNS"),
    "plans as verb": _has_word("plans", "xpos", "VBZ"),
    "before as preposition": _has_word("before", "upos", "ADP"),
    "before as conjunction": _has_word("before", "upos", "SCONJ"),
    "'s as verb": _has_word("'s", "upos", "AUX"),
    "Jordan as a place": _has_word("jordan", "ner_tags", "B-LOC"),
    "Jordan as a person": _has_word("jordan", "ner_tags", "B-PER"),
    "Harper as a company": _has_word("harper", "ner_tags", "B-ORG"),
}


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_construction_occurs_in_training(construction: str, train: list[Row]) -> None:
    assert sum(map(CONSTRUCTIONS[construction], train)) >= 3


def test_predicates_per_sentence(everything: list[Row]) -> None:
    counts = [len(row["srl_frames"]) for row in everything]
    assert 1.5 <= sum(counts) / len(counts) <= 2.5
    assert max(counts) >= 4
    assert 0.05 < counts.count(0) / len(counts) < 0.25


def test_a_noun_may_be_a_predicate_or_not(train: list[Row]) -> None:
    seen: dict[str, set[bool]] = defaultdict(set)
    for row in train:
        predicates = {frame["predicate"] for frame in row["srl_frames"]}
        for i, word in enumerate(row["tokens"]):
            if row["upos"][i] == "NOUN":
                seen[word].add(i in predicates)
    assert sum(len(answers) == 2 for answers in seen.values()) >= 5


# Splits


def _unseen_share(train: list[Row], rows: list[Row]) -> float:
    known = {word.lower() for row in train for word in row["tokens"]}
    found = [w for row in rows for w, tag in zip(row["tokens"], row["upos"], strict=True) if tag in OPEN]
    return sum(word.lower() not in known for word in found) / len(found)


def test_a_fifth_of_the_open_class_words_is_unseen(train: list[Row], dev: list[Row], test: list[Row]) -> None:
    assert 0.15 <= _unseen_share(train, dev) <= 0.25
    assert 0.15 <= _unseen_share(train, test) <= 0.25


def test_reserves_stay_out_of_the_other_splits(train: list[Row], dev: list[Row], test: list[Row]) -> None:
    names = {Split.TRAIN: train, Split.DEV: dev, Split.TEST: test}
    for split, rows in names.items():
        for row in rows:
            for frame in row["srl_frames"]:
                if row["upos"][frame["predicate"]] == "VERB":
                    assert home(frame["sense"].split(".")[0]) in (Split.TRAIN, split), row["id"]


def test_no_sentence_is_in_two_splits(train: list[Row], dev: list[Row], test: list[Row]) -> None:
    sentences = [{" ".join(row["tokens"]) for row in rows} for rows in (train, dev, test)]
    assert not sentences[0] & sentences[1]
    assert not sentences[0] & sentences[2]
    assert not sentences[1] & sentences[2]


def test_sentences_seldom_repeat_within_training(train: list[Row]) -> None:
    assert len({" ".join(row["tokens"]) for row in train}) > 0.99 * len(train)


@pytest.mark.parametrize("layer", LAYERS)
def test_training_shows_every_token_label(layer: str, train: list[Row], dev: list[Row], test: list[Row]) -> None:
    assert {tag for row in dev + test for tag in row[layer]} <= {tag for row in train for tag in row[layer]}


def test_training_shows_every_role_label(train: list[Row], dev: list[Row], test: list[Row]) -> None:
    def labels(rows: list[Row]) -> set[str]:
        return {tag for row in rows for frame in row["srl_frames"] for tag in frame["tags"]}

    assert labels(dev + test) <= labels(train)


@pytest.mark.parametrize(("layer", "default", "ceiling"), [("upos", "NOUN", 0.96), ("ner_tags", "O", 0.95)])
def test_most_frequent_tag_is_clearly_below_the_ceiling(
    layer: str, default: str, ceiling: float, train: list[Row], test: list[Row]
) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in train:
        for word, tag in zip(row["tokens"], row[layer], strict=True):
            counts[word.lower()][tag] += 1
    best = {word: tags.most_common(1)[0][0] for word, tags in counts.items()}
    pairs = [(w, t) for row in test for w, t in zip(row["tokens"], row[layer], strict=True)]
    accuracy = sum(best.get(word.lower(), default) == tag for word, tag in pairs) / len(pairs)
    assert 0.70 < accuracy < ceiling


# The parts


@pytest.mark.parametrize(
    ("lemma", "forms"),
    [
        ("visit", ("visits", "visited", "visited", "visiting")),
        ("carry", ("carries", "carried", "carried", "carrying")),
        ("plan", ("plans", "planned", "planned", "planning")),
        ("agree", ("agrees", "agreed", "agreed", "agreeing")),
        ("die", ("dies", "died", "died", "dying")),
        ("pass", ("passes", "passed", "passed", "passing")),
        ("give", ("gives", "gave", "given", "giving")),
        ("have", ("has", "had", "had", "having")),
    ],
)
def test_verbs_are_inflected(lemma: str, forms: tuple[str, ...]) -> None:
    made = verb_forms(lemma)
    assert (made.third, made.past, made.participle, made.gerund) == forms


def test_nouns_are_inflected() -> None:
    assert [plural(noun) for noun in ("city", "church", "knife", "day", "fish")] == [
        "cities",
        "churches",
        "knives",
        "days",
        "fish",
    ]


def test_verb_entries_gather_all_frames_of_a_lemma() -> None:
    assert {frame.pattern.value for frame in VERBS["give"].frames} == {"giving", "particle"}


def test_reserve_is_drawn_by_its_own_split_only() -> None:
    listed = words("apple cake soup loaf fish potato sandwich pie egg cheese meal tomato pear dinner breakfast pancake")
    rng = random.Random(0)
    drawn = {split: {listed.draw(rng, split) for _ in range(2000)} for split in Split}
    assert drawn[Split.TRAIN] == set(listed.common)
    for split in (Split.DEV, Split.TEST):
        assert drawn[split] == set(listed.common) | set(listed.reserve[split])


def test_word_list_prefers_earlier_words() -> None:
    listed = WordList(["run", "give", "take", "make", "see", "go"], lemma_of=str)
    rng = random.Random(0)
    counts = Counter(listed.draw(rng, Split.TRAIN) for _ in range(3000))
    assert counts["run"] > counts["make"] > counts["go"]


def test_overlapping_arguments_are_a_programming_error() -> None:
    leaf, other = chunk("NP", [Token("a", "NOUN", "NN"), Token("b", "NOUN", "NN")])
    both = Phrase((leaf, other))
    with pytest.raises(AssertionError, match="overlaps"):
        to_row(Phrase((both,), (FrameDraft(leaf, "a.01", (("ARG0", both),)),)))
