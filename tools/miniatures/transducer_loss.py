"""The loss of a transducer: how unlikely the right symbols are, over all ways to spread them over frames."""

from __future__ import annotations

import torch

IMPOSSIBLE = -1e9


def transducer_loss(
    log_chances: torch.Tensor, said: torch.Tensor, *, frames: torch.Tensor, digits: torch.Tensor, blank: int
) -> torch.Tensor:
    """Return the mean negative log likelihood.

    log_chances:    of shape (samples, frames, longest said + 1, symbols)
    frames, digits: the true lengths, which padding exceeds
    """
    samples, frame_count, places, _ = log_chances.shape
    silence = log_chances[..., blank]
    symbols = said[:, None, :, None].expand(samples, frame_count, places - 1, 1)
    speech = log_chances[:, :, :-1].gather(3, symbols)[..., 0]
    entering = torch.full((samples, places), IMPOSSIBLE)
    entering[:, 0] = 0
    reached = []
    for frame in range(frame_count):
        reached.append(_said_within(entering, speech[:, frame]))
        entering = reached[-1] + silence[:, frame]
    sample, last = torch.arange(samples), frames - 1
    ends = torch.stack(reached, 1)[sample, last, digits] + silence[sample, last, digits]
    return -ends.mean()


def _said_within(entering: torch.Tensor, speech: torch.Tensor) -> torch.Tensor:
    """Return the log chance of each place in the transcript when a frame ends, from those when it begins."""
    places = [entering[:, 0]]
    for place in range(1, entering.shape[1]):
        places.append(torch.logaddexp(entering[:, place], places[-1] + speech[:, place - 1]))
    return torch.stack(places, 1)
