"""How far each estimate was from the simulation where both were run; `benchmarks/prediction.py` measures it anew.

Differences of accuracy in points on the same images, networks and rules of that benchmark, rounded up. They hold the error
of the estimate alone: the accuracy of few samples is itself uncertain, by sqrt(p (1 - p) / samples).
"""

from __future__ import annotations

CLIPPED_FROM, CLIPPED_BAND = 512, 0.2  # time steps; table 4.1 of the thesis on conversion: at most 0.09 points in 20 rows
EXACT = 4  # up to here leaps are single steps: the walk is the simulation
SETTLED = 16
WALK_BANDS = (4.0, 3.0)  # below SETTLED time steps, from there on
CORRECTED_BANDS = (4.0, 3.0)


def walk_band(time_steps: int) -> float:
    """Return the band of the walk in leaps."""
    return 0.0 if time_steps <= EXACT else WALK_BANDS[time_steps >= SETTLED]


def corrected_band(time_steps: int) -> float:
    """Return the band of the walk after 64 simulated samples."""
    return 0.0 if time_steps <= EXACT else CORRECTED_BANDS[time_steps >= SETTLED]
