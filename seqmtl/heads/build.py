"""Specs to heads."""

from typing import assert_never

from torch import nn

from seqmtl.heads.crf import CRFHead
from seqmtl.heads.softmax import PredicateHead, SoftmaxHead
from seqmtl.heads.srl import AttentionContext, RecurrentContext, SRLHead
from seqmtl.heads.token import TokenHead
from seqmtl.labels import LabelInventory, Scheme, tag_structure
from seqmtl.specs.tasks import CRFHeadSpec, HeadSpec, PredicateHeadSpec, SoftmaxHeadSpec, SRLHeadSpec


def build_head(
    spec: HeadSpec,
    *,
    in_features: int,
    labels: LabelInventory,
    scheme: Scheme | None,
    decoders: int = 1,
    own_dropout: bool = False,
) -> TokenHead | SRLHead:
    """The head that ``spec`` describes.

    Args:
        spec: what was asked for.
        in_features: size of the features that it reads.
        labels: what it predicts.
        scheme: how spans are written in ``labels``; None for plain tags.
        decoders: K.
        own_dropout: whether each decoder has dropout of its own.
    """
    match spec:
        case SoftmaxHeadSpec():
            return SoftmaxHead(
                in_features,
                len(labels),
                hidden=spec.hidden,
                dropout=spec.dropout,
                label_smoothing=spec.label_smoothing,
                structure=tag_structure(labels.labels, scheme=scheme) if scheme and spec.constrained else None,
                bilstm=spec.bilstm,
                decoders=decoders,
                own_dropout=own_dropout,
            )
        case CRFHeadSpec():
            return CRFHead(
                in_features,
                len(labels),
                hidden=spec.hidden,
                dropout=spec.dropout,
                structure=tag_structure(labels.labels, scheme=scheme) if scheme and spec.constrained else None,
                bilstm=spec.bilstm,
                decoders=decoders,
                own_dropout=own_dropout,
            )
        case PredicateHeadSpec():
            return PredicateHead(
                in_features,
                hidden=spec.hidden,
                dropout=spec.dropout,
                bilstm=spec.bilstm,
                decoders=decoders,
                own_dropout=own_dropout,
            )
        case SRLHeadSpec():
            return SRLHead(
                in_features,
                len(labels),
                contextualiser=_contextualiser(spec),
                width=spec.width,
                max_distance=spec.max_distance,
                dropout=spec.dropout,
                structure=tag_structure(labels.labels, scheme=Scheme.BIO),
                predicate_label=labels.labels.index("B-V") if "B-V" in labels else None,
                decoders=decoders,
                own_dropout=own_dropout,
            )
        case _:
            assert_never(spec)


def _contextualiser(spec: SRLHeadSpec) -> nn.Module:
    if spec.contextualiser == "bilstm":
        return RecurrentContext(spec.width, layers=spec.layers, dropout=spec.dropout)
    return AttentionContext(spec.width, layers=spec.layers, dropout=spec.dropout)
