"""Documents as JSON, one to a line; nothing is lost on the way there and back.

    {"text": "Anna slept.", "sentences": [{
        "start": 0, "end": 11,
        "tokens": [{"text": "Anna", "start": 0, "end": 4, "layers": {"upos": "PROPN"}}, ...],
        "tags": {"upos": ["PROPN", ...], "ner": ["B-PER", ...]},
        "spans": {"ner": [SPAN, ...]},
        "frames": {"srl": [{"predicate": 1, "sense": "",
                            "arguments": [{"label": "ARG0", "pieces": [SPAN], "text": "Anna"}]}]}}]}

where SPAN is {"label": "PER", "start_token": 0, "end_token": 1, "start": 0, "end": 4, "text": "Anna"}.
Offsets count Unicode code points; other languages that count UTF-16 units (JavaScript, Java) differ after an emoji.
"""

import json
from collections.abc import Mapping
from typing import Any

from seqmtl.documents.document import Document, FrameArgument, Sentence, TaggedFrame, Token, TypedSpan
from seqmtl.errors import DataError


def to_json(document: Document) -> dict[str, Any]:
    """The document as dictionaries, lists, strings and integers."""
    return {"text": document.text, "sentences": [_sentence_to_json(sentence) for sentence in document.sentences]}


def from_json(data: Mapping[str, Any]) -> Document:
    """Rebuild what ``to_json`` wrote.

    Raises:
        DataError: when a key is missing.
    """
    try:
        return Document(text=data["text"], sentences=tuple(_sentence(sentence) for sentence in data["sentences"]))
    except KeyError as error:
        raise DataError(f"this is not a document of seqmtl: the key {error} is missing") from None


def to_json_line(document: Document) -> str:
    """The document on one line, without the line's end; letters of every script stay readable."""
    return json.dumps(to_json(document), ensure_ascii=False)


def from_json_line(line: str) -> Document:
    """Rebuild what ``to_json_line`` wrote.

    Raises:
        DataError: when the line is not JSON, or a key is missing.
    """
    try:
        data = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"this is not a line of JSON: {error}; it begins with {line[:60]!r}") from None
    if not isinstance(data, dict):
        raise DataError(f"this is not a document of seqmtl: it begins with {line[:60]!r}, not with '{{'")
    return from_json(data)


def _sentence_to_json(sentence: Sentence) -> dict[str, Any]:
    return {
        "start": sentence.start,
        "end": sentence.end,
        "tokens": [
            {"text": token.text, "start": token.start, "end": token.end, "layers": dict(token.layers)}
            for token in sentence.tokens
        ],
        "tags": {task: list(layer) for task, layer in sentence.tags.items()},
        "spans": {task: [_span_to_json(span) for span in layer] for task, layer in sentence.spans.items()},
        "frames": {task: [_frame_to_json(frame) for frame in layer] for task, layer in sentence.frames.items()},
    }


def _frame_to_json(frame: TaggedFrame) -> dict[str, Any]:
    arguments = [
        {"label": item.label, "pieces": [_span_to_json(piece) for piece in item.pieces], "text": item.text}
        for item in frame.arguments
    ]
    return {"predicate": frame.predicate, "sense": frame.sense, "arguments": arguments}


def _span_to_json(span: TypedSpan) -> dict[str, Any]:
    return {
        "label": span.label,
        "start_token": span.start_token,
        "end_token": span.end_token,
        "start": span.start,
        "end": span.end,
        "text": span.text,
    }


def _sentence(data: Mapping[str, Any]) -> Sentence:
    return Sentence(
        tokens=tuple(Token(item["text"], item["start"], item["end"], dict(item["layers"])) for item in data["tokens"]),
        tags={task: tuple(layer) for task, layer in data["tags"].items()},
        spans={task: tuple(_span(span) for span in layer) for task, layer in data["spans"].items()},
        frames={task: tuple(_frame(frame) for frame in layer) for task, layer in data["frames"].items()},
    )


def _span(data: Mapping[str, Any]) -> TypedSpan:
    return TypedSpan(data["label"], data["start_token"], data["end_token"], data["start"], data["end"], data["text"])


def _frame(data: Mapping[str, Any]) -> TaggedFrame:
    arguments = [
        FrameArgument(item["label"], tuple(_span(piece) for piece in item["pieces"]), item["text"])
        for item in data["arguments"]
    ]
    return TaggedFrame(predicate=data["predicate"], sense=data["sense"], arguments=tuple(arguments))
