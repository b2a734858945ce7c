r"""Text that may stand in a column: UDPipe's escapes ``\s \t \r \n \p \\``, and ``\uXXXX`` for what they lack.

White space, ``|`` and ``=`` have a meaning in the MISC column of CoNLL-U, so none of them may stand there as itself.
"""

import re

_SHORT = {" ": r"\s", "\t": r"\t", "\r": r"\r", "\n": r"\n", "|": r"\p", "\\": r"\\"}
_LONG = {written: character for character, written in _SHORT.items()}
_UNSAFE = re.compile(r"[\s\\|=\u200b]")
_ESCAPE = re.compile(r"\\u[0-9a-f]{4}|\\[strnp\\]")


def escaped(text: str) -> str:
    r"""Write text so that it has neither white space nor ``|`` or ``=``.

    >>> escaped("a = b")
    'a\\s\\u003d\\sb'
    """
    return _UNSAFE.sub(lambda match: _SHORT.get(match[0], f"\\u{ord(match[0]):04x}"), text)


def unescaped(text: str) -> str:
    """Undo ``escaped``."""
    return _ESCAPE.sub(lambda match: _LONG.get(match[0]) or chr(int(match[0][2:], 16)), text)
