"""What calibration samples tell: streaming statistics of a network's values."""

from __future__ import annotations

from transpike.calibration.histogram import Histogram
from transpike.calibration.moments import Moments
from transpike.calibration.observe import Rows, Statistic, gather, histograms
from transpike.calibration.samples import Samples, Watch, unwatched

__all__ = ["Histogram", "Moments", "Rows", "Samples", "Statistic", "Watch", "gather", "histograms", "unwatched"]
