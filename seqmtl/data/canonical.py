"""From records as they were written to canonical rows: absent frames filled in, spans in BIO."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from seqmtl.data.readers.record import Record
from seqmtl.data.rows import FRAMES, Row, check_row, where
from seqmtl.errors import DataError, LabelError
from seqmtl.labels.repair import Policy, repaired
from seqmtl.labels.schemes import OUTSIDE, Scheme, convert, recognise, spans_of, split_tag, violations


def filled(record: Record, *, corpus: str, split: str, empty_when_absent: Collection[str]) -> Record:
    """Give the row ``[]`` for each of the layers that it lacks, and check it.

    Raises:
        DataError: the row contradicts itself.
    """
    empty = {layer: [] for layer in empty_when_absent if record.row.get(layer) is None}
    row = {**record.row, **empty}
    check_row(row, corpus=corpus, split=split, place=record.place())
    return Record(row, record.source, record.line, record.word_lines)


def recognised(records: Iterable[Record], *, corpus: str, layer: str) -> Scheme:
    """The scheme in which the records write ``layer``.

    Raises:
        LabelError: something in the layer is no span tag; the message names corpus and layer.
    """
    try:
        return recognise(record.row[layer] for record in records if record.row.get(layer) is not None)
    except LabelError as error:
        raise LabelError(f"corpus {corpus!r}: {layer!r}, {error}") from None


def tags_in_bio(names: Sequence[str], *, scheme: Scheme | None) -> tuple[str, ...]:
    """What all tags of a layer are once its rows are in BIO; None: it has no spans.

    Raises:
        LabelError: something in a span layer is no span tag.
    """
    if scheme in (None, Scheme.BIO):
        return tuple(names)
    labels = dict.fromkeys(split_tag(name).label for name in names if name != OUTSIDE)
    return (OUTSIDE, *(f"{prefix}-{label}" for label in labels for prefix in "BI"))


def to_bio(record: Record, *, corpus: str, split: str, schemes: Mapping[str, Scheme], policy: Policy) -> Row:
    """The row with every layer of ``schemes`` and every frame in valid BIO; the record itself stays as it is.

    Raises:
        DataError: under ``Policy.ERROR``, for a tag that breaks its scheme; the message names row, file and line.
    """

    def bio(tags: Sequence[str], layer: str, scheme: Scheme) -> list[str]:
        try:
            return _bio(tags, scheme, policy)
        except LabelError as error:
            place = record.place(_first_broken(tags, scheme))
            name = where(record.row, corpus=corpus, split=split, place=place)
            raise DataError(f"{name}: {layer!r}, {error}") from None

    row = dict(record.row)
    for layer, scheme in schemes.items():
        if row.get(layer) is not None:
            row[layer] = bio(row[layer], layer, scheme)
    if row.get(FRAMES) is not None:
        row[FRAMES] = [frame | {"tags": bio(frame["tags"], FRAMES, Scheme.BIO)} for frame in row[FRAMES]]
    return row


def _bio(tags: Sequence[str], scheme: Scheme, policy: Policy) -> list[str]:
    if not violations(tags, scheme=scheme):
        return list(tags) if scheme is Scheme.BIO else convert(tags, source=scheme, target=Scheme.BIO)
    if policy is Policy.REPAIR:
        return repaired(tags, scheme=Scheme.BIO)
    spans_of(tags, scheme=scheme)  # raises, and says why
    raise AssertionError("spans_of accepted tags that have violations")


def _first_broken(tags: Sequence[str], scheme: Scheme) -> int:
    """The first tag that is no span tag at all, or else the first that breaks the scheme."""
    for index, tag in enumerate(tags):
        try:
            split_tag(tag)
        except LabelError:
            return index
    return violations(tags, scheme=scheme)[0]
