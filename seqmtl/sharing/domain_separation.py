"""What keeps shared and private features apart (Bousmalis, Trigeorgis, Silberman, Krishnan and Erhan, NIPS 2016).

B sentences, T words, S shared and P private features, D features of the encoder.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Reconstruction(nn.Module):
    """The shared decoder ``x^ = D(h^s + h^k)`` of domain separation networks, and its error.

    The error of a word is the scale-invariant one of equation 4, ``|x - x^|^2 / D - (sum(x - x^) / D)^2``, so without
    what all its features are off by together; that is the variance of the difference over the features.

    Deviations: the paper's decoder turns a convolutional encoder around, ours has one hidden layer and gives back the
    states of words that the towers read. They are learned, so they are a fixed target: no gradient goes into them. The
    error is a mean over words, where the paper sums.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        """From the ``in_features`` of a tower to the ``out_features`` of the encoder."""
        super().__init__()
        self.decoder = nn.Sequential(
            nn.Linear(in_features, in_features), nn.ReLU(), nn.Linear(in_features, out_features)
        )

    def forward(self, shared: Tensor, private: Tensor, *, states: Tensor, words: Tensor) -> Tensor:
        """The mean error over ``words``.

        Args:
            shared: ``[B, T, S]``.
            private: of the same size.
            states: what the towers read, ``[B, T, D]``.
            words: the words that count, bool ``[B, T]``.

        Returns:
            A scalar; 0 when no word counts.
        """
        off = self.decoder(shared + private) - states.detach()  # [B, T, D]
        errors = off.float().var(dim=-1, correction=0).masked_fill(~words, 0.0)  # [B, T]
        return errors.sum() / words.sum().clamp(min=1)


def difference(shared: Tensor, private: Tensor, *, words: Tensor, normalise: bool) -> Tensor:
    """``L_diff = |S' H|_F^2``: how much the private features of ``words`` repeat the shared ones (equation 5).

    Args:
        shared: S, ``[B, T, S]``.
        private: H, ``[B, T, P]``.
        words: the rows of S and H, bool ``[B, T]``.
        normalise: rows of S and H have mean 0 over all rows, then length 1, and the result is the mean over the entries
            of ``S' H``, as in the code that the authors published; else it is the sum, as the equation says.

    Returns:
        A scalar; 0 when there are no words. Its size grows with the words of a batch in either form.
    """
    with torch.autocast(shared.device.type, enabled=False):  # sums over all words, which half precision cannot hold
        shared, private = shared.float(), private.float()
        if normalise:
            return (unit_rows(shared, words).mT @ unit_rows(private, words)).square().mean()
        return (real_rows(shared, words).mT @ real_rows(private, words)).square().sum()


def real_rows(states: Tensor, words: Tensor) -> Tensor:
    """States ``[B, T, D]`` as rows, 0 where they are no words, ``[B * T, D]``."""
    return states.masked_fill(~words[..., None], 0.0).flatten(0, 1)


def unit_rows(states: Tensor, words: Tensor) -> Tensor:
    """The same, with mean 0 over all words and then length 1 each."""
    rows, real = real_rows(states, words), words.flatten()[:, None]
    mean = rows.sum(dim=0) / words.sum().clamp(min=1)  # [D]
    return F.normalize((rows - mean).masked_fill(~real, 0.0), dim=-1, eps=1e-6)
