"""How far each estimate was from the simulation where both were run; `benchmarks/prediction.py` measures it anew.

Differences of accuracy in points on the same images: networks and rules of that benchmark. They hold the error of the
estimate alone: the accuracy of few samples is itself uncertain, by sqrt(p (1 - p) / samples).
"""

from __future__ import annotations

CLIPPED_FROM, CLIPPED_BAND = 512, 0.2  # time steps from which clipping is the whole story


def walk_band(time_steps: int) -> float:
    """Return the band of the walk in leaps."""
    return WALK_BANDS[0 if time_steps < SETTLED else 1]


def corrected_band(time_steps: int) -> float:
    """Return the band of the walk after 64 simulated samples."""
    return CORRECTED_BANDS[0 if time_steps < SETTLED else 1]


SETTLED = 16
WALK_BANDS = (6.0, 4.0)  # below SETTLED time steps, from there on
CORRECTED_BANDS = (2.0, 2.0)
