"""What calibration samples tell: streaming statistics of a network's values."""

from __future__ import annotations

from transpike.calibration.histogram import Histogram
from transpike.calibration.observe import histograms
from transpike.calibration.samples import Samples
from transpike.calibration.spread import Moments, moments

__all__ = ["Histogram", "Moments", "Samples", "histograms", "moments"]
