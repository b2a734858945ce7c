"""What several tests of documents start from."""

import pytest
from hypothesis import strategies as st

from seqmtl.documents import Annotation, Document, Frame, build_document, segment

TEXT = "Anna did n't give Ben , who slept , the book . 👍🏽 שלום\n\n  He left ."
WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=4)
SPACES = st.sampled_from([" ", " ", "", "\n", "\r\n", "\t", "  ", "\n\n", "\u00a0", "\u2028", "\u200b", "\x1c", "\x85"])
SPAN_TAGS = st.sampled_from(["O", "O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "I-a|b=c\\s"])
FRAME_TAGS = st.sampled_from(
    ["O", "O", "B-A0", "I-A0", "B-A1", "I-A1", "B-C-A0", "I-C-A0", "B-C-A1", "B-R-A0", "B-V", "I-V", "B-C-V"]
)


@st.composite
def _documents(draw: st.DrawFn) -> Document:
    """Documents over any text; sentences of one document may have different layers."""
    pieces = draw(st.lists(st.tuples(SPACES, WORD), max_size=12))
    text = "".join(space + word for space, word in pieces) + draw(SPACES)
    sentences = segment(text)
    return build_document(text, sentences=sentences, annotations=[draw(_annotations(len(s))) for s in sentences])


@st.composite
def _annotations(draw: st.DrawFn, length: int) -> Annotation:
    def layers(names: list[str], tags: st.SearchStrategy) -> dict:
        return draw(st.dictionaries(st.sampled_from(names), st.lists(tags, min_size=length, max_size=length)))

    frame = st.builds(
        Frame,
        predicate=st.integers(0, length - 1),
        sense=st.sampled_from(["", "give.01", "a b|c"]),
        tags=st.lists(FRAME_TAGS, min_size=length, max_size=length).map(tuple),
    )
    return Annotation(
        tags=layers(["upos", "xpos", "lemma"], st.sampled_from(["NOUN", "``", "a=b|c\\s", "_", "été x"])),
        span_tags=layers(["ner", "chunk"], SPAN_TAGS),
        frames=draw(st.dictionaries(st.sampled_from(["srl", "srl2"]), st.lists(frame, max_size=3))),
    )


@pytest.fixture(scope="session")
def documents() -> st.SearchStrategy[Document]:
    """Any document, to be drawn from by ``data.draw(documents)``."""
    return _documents()


@pytest.fixture
def document() -> Document:
    """One document of two sentences: a discontinuous argument, an emoji, right-to-left text, an empty line."""
    first = Annotation(
        tags={"upos": "PROPN AUX PART VERB PROPN PUNCT PRON VERB PUNCT DET NOUN PUNCT SYM NOUN".split()},
        span_tags={"ner": "B-PER O O O B-PER O O O O O O O O O".split()},
        frames={
            "srl": [
                Frame(3, "", tuple("B-ARG0 O B-ARGM-NEG B-V B-ARG2 I-ARG2 B-C-ARG2 O O B-ARG1 I-ARG1 O O O".split())),
                Frame(7, "sleep.01", tuple("O O O O B-ARG0 O B-R-ARG0 B-V O O O O O O".split())),
            ]
        },
    )
    second = Annotation(
        tags={"upos": "PRON VERB PUNCT".split()}, span_tags={"ner": "O O O".split()}, frames={"srl": []}
    )
    offsets = _offsets(TEXT)
    return build_document(TEXT, sentences=[offsets[:14], offsets[14:]], annotations=[first, second])


def _offsets(text: str) -> list[tuple[int, int]]:
    offsets, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        offsets.append((start, start + len(word)))
        start += len(word)
    return offsets
