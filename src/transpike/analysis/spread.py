"""Mean and spread of what was measured over several draws."""

from __future__ import annotations

import statistics


class OverDraws:
    """A row that holds the accuracy of each draw."""

    accuracy: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return statistics.fmean(self.accuracy)

    @property
    def deviation(self) -> float:
        """The standard deviation of the accuracy over draws, 0 of a single one."""
        return statistics.stdev(self.accuracy) if len(self.accuracy) > 1 else 0.0
