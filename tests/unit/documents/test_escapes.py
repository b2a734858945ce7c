from hypothesis import example, given
from hypothesis import strategies as st

from seqmtl.documents.escapes import escaped, unescaped


@given(st.text())
@example("\\s \\u0020 \\\\p|=\t\r\n\u2028\u200b")
def test_round_trip(text: str):
    written = escaped(text)
    assert unescaped(written) == text
    assert not any(character.isspace() or character in "|=" for character in written)


def test_the_escapes_are_those_of_udpipe():
    assert escaped(" \t\r\n|\\") == r"\s\t\r\n\p\\"
    assert unescaped(r"a\qb") == r"a\qb"
