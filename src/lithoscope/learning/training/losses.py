"""What training makes small."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

#: log sigma is kept within these (s): 2 ms to 2 s.
LOG_SIGMA = (-6.2, 0.7)


def loss(
    output: Tensor, target: Tensor, weight: Tensor, *, event_weight: float, timing_weight: float
) -> tuple[Tensor, dict[str, float]]:
    """Return the loss and its parts.

    Cross entropy of P, S and event with soft targets, and for the times of P and S the negative
    log likelihood of a Laplace distribution with the network's offset and sigma: heavier tails
    than a normal one, so that a wrong label costs little.

    Parameters
    ----------
    output
        ``(b, 7, n)``, rows of `picknet.OUTPUTS`.
    target, weight
        ``(b, 5, n)`` of `examples.targets`.
    event_weight, timing_weight
        Weights of those parts.
    """
    entropy = F.binary_cross_entropy_with_logits(output[:, :3], target[:, :3], reduction="none")
    counted = entropy * weight[:, :3]
    total = weight[:, :3].sum((0, 2)).clamp_min(1.0)
    p, s, event = counted.sum((0, 2)) / total
    timing = output.new_zeros(())
    for phase in range(2):
        share = weight[:, 3 + phase]
        offset = output[:, 3 + 2 * phase]
        log_sigma = output[:, 4 + 2 * phase].clamp(*LOG_SIGMA)
        away = (target[:, 3 + phase] - offset).abs()
        cost = away * torch.exp(-log_sigma) + log_sigma
        timing = timing + (cost * share).sum() / share.sum().clamp_min(1.0)
    # Entropy is small since onsets are rare: scaled to about 1 at the start.
    value = 20.0 * (p + s) + event_weight * event + timing_weight * timing
    parts = {"p": p, "s": s, "event": event, "timing": timing, "loss": value}
    return value, {k: float(v.detach()) for k, v in parts.items()}
