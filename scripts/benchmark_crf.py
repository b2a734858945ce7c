"""Time the CRF of seqmtl against pytorch-crf: negative log-likelihood with its gradients, and decoding.

    pip install "seqmtl[benchmark]"
    python scripts/benchmark_crf.py
    python scripts/benchmark_crf.py --quick --check

64 sentences of up to 60 words; 23 labels are CoNLL-2000 chunks, 117 are PropBank roles in BIO. "ragged" sentences have
5 to 60 words, the others 60. Before anything is timed, values and gradients of both sides must agree to 1e-4 and their
decoded labels must be the same, or the script stops.
"""

import sys

import torch
from _benchmark import Figure, alternate, options, report, set_up
from torch import Tensor
from torchcrf import CRF

from seqmtl.kernels.crf import log_likelihood, viterbi

SENTENCES, WORDS = 64, 60
LIKELIHOOD_BAR, DECODING_BAR = 5.0, 1.0


class Case:
    """One batch, a pytorch-crf module, and the same computation by both sides."""

    def __init__(self, labels: int, *, ragged: bool) -> None:
        draw = torch.Generator().manual_seed(labels)
        self.theirs = CRF(labels, batch_first=True)
        self.emissions = torch.randn(SENTENCES, WORDS, labels, generator=draw).requires_grad_()
        self.labels = torch.randint(labels, (SENTENCES, WORDS), generator=draw)
        lengths = torch.full((SENTENCES,), WORDS)
        if ragged:
            lengths[1:] = torch.randint(5, WORDS + 1, (SENTENCES - 1,), generator=draw)
        self.mask = torch.arange(WORDS) < lengths[:, None]
        crf = self.theirs
        self.leaves = [self.emissions, crf.transitions, crf.start_transitions, crf.end_transitions]

    def our_likelihoods(self) -> Tensor:
        """Log-likelihood of each sentence, [B]."""
        scores = [leaf[None] for leaf in self.leaves]
        return log_likelihood(*scores, labels=self.labels, mask=self.mask)[0]

    def their_likelihoods(self) -> Tensor:
        """Log-likelihood of each sentence, [B]."""
        return self.theirs(self.emissions, self.labels, mask=self.mask, reduction="none")

    def our_step(self) -> tuple[Tensor, ...]:
        """Gradients of the summed negative log-likelihood."""
        return torch.autograd.grad(-self.our_likelihoods().sum(), self.leaves)

    def their_step(self) -> tuple[Tensor, ...]:
        """Gradients of the summed negative log-likelihood."""
        return torch.autograd.grad(-self.their_likelihoods().sum(), self.leaves)

    def our_labels(self) -> list[list[int]]:
        """Decoded labels of each sentence, as pytorch-crf gives them."""
        rows = viterbi(*self.leaves, mask=self.mask).tolist()
        return [row[:length] for row, length in zip(rows, self.mask.sum(1).tolist(), strict=True)]

    def their_labels(self) -> list[list[int]]:
        """Decoded labels of each sentence."""
        with torch.no_grad():
            # the annotation says ByteTensor, the code takes bool as torch wants it
            return self.theirs.decode(self.emissions, mask=self.mask)  # pyright: ignore[reportArgumentType]

    def compare(self) -> None:
        """Stop unless both sides agree."""
        torch.testing.assert_close(self.our_likelihoods(), self.their_likelihoods(), rtol=1e-4, atol=1e-4)
        for ours, theirs in zip(self.our_step(), self.their_step(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        assert self.our_labels() == self.their_labels(), "the two sides decode different labels"


def main() -> int:
    """Run all cases."""
    arguments = options(__doc__).parse_args()
    set_up(arguments)
    torch.manual_seed(1)
    rounds, warmup = (30, 10) if arguments.quick else (120, 10)
    figures: dict[str, Figure] = {}
    for labels in (23, 117):
        for ragged in (False, True):
            case = Case(labels, ragged=ragged)
            case.compare()
            name = f"L={labels}, ragged" if ragged else f"L={labels}"
            figures[f"likelihood, {name}"] = alternate(
                case.our_step, case.their_step, bar=LIKELIHOOD_BAR, rounds=rounds, warmup=warmup
            )
            figures[f"decoding, {name}"] = alternate(
                case.our_labels, case.their_labels, bar=DECODING_BAR, rounds=rounds, warmup=warmup
            )
    return report("crf", figures, arguments)


if __name__ == "__main__":
    sys.exit(main())
