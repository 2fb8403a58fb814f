"""Numbers and names as people read them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

from transpike.analysis import Report
from transpike.analysis.report import SPIKING_LEVELS

SPACE = "\u00a0"
MINUS = "\u2212"
NONE = "\u2013"
MANY_SAMPLES = 1000  # from here on a second decimal of an accuracy means something
LONGEST = 24
COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
MICROJOULES = ((1e6, "J"), (1e3, "mJ"), (1.0, "µJ"), (1e-3, "nJ"))


def number(value: float | None, digits: int) -> str:
    """Word a number with thousands apart and a true minus; None and NaN are an en dash.

    >>> number(1234.5678, 2), number(-0.001, 1), number(float("inf"), 1)
    ('1,234.57', '0.0', '∞')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else MINUS + "∞"
    text = f"{value:,.{digits}f}"
    if text.startswith("-"):
        return text[1:] if float(text.replace(",", "")) == 0 else MINUS + text[1:]
    return text


def percent(fraction: float | None, digits: int = 1) -> str:
    """Word a fraction in percent, with the sign."""
    return number(None if fraction is None else 100 * fraction, digits) + (SPACE + "%" if fraction is not None else "")


def share(fraction: float, digits: int = 2) -> str:
    """Word a fraction in percent without the sign; what is there but rounds to nothing is not called nothing.

    >>> share(0.1273), share(0.0), share(8.5e-6)
    ('12.73', '0.00', '<0.01')
    """
    least = 10.0**-digits
    return f"<{least:.{digits}f}" if 0 < 100 * fraction < least / 2 else number(100 * fraction, digits)


def figures(value: float | None) -> str:
    """Word a value of any metric with four figures; None and NaN are an en dash.

    >>> figures(0.61234), figures(1234.56), figures(None) == NONE
    ('0.6123', '1,235', True)
    """
    if value is None or not math.isfinite(value):
        return number(value, 0)
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"  # noqa: PLR2004 - four figures
    return text.replace("-", MINUS, 1) if text.startswith("-") else text


def accuracy_digits(samples: int) -> int:
    """Return how many decimals of an accuracy in percent are worth printing."""
    return 1 if samples < MANY_SAMPLES else 2


@dataclass(frozen=True)
class Scale:
    """A unit and a number of decimals that suit all values of a column."""

    factor: float
    unit: str
    digits: int

    def __call__(self, value: float | None) -> str:
        """Word a value in this unit, without naming the unit."""
        return number(None if value is None else value / self.factor, self.digits)

    def worded(self, value: float | None) -> str:
        """Word a value with its unit."""
        return self(value) + (SPACE + self.unit if self.unit and value is not None else "")


def scale(values: Iterable[float], units: Sequence[tuple[float, str]] = COUNTS, digits: int = 2) -> Scale:
    """Return the scale for a column: the unit of the greatest value, and two figures at least of the smallest.

    >>> scale([36_957_504])(36_957_504), scale([170.0045, 6.26], MICROJOULES, 1)(170.0045)
    ('36.96', '170.0')
    """
    known = [abs(value) for value in values if value and math.isfinite(value)]
    if not known:
        return Scale(1.0, dict(units)[1.0], 0)
    factor, unit = next((row for row in units if max(known) >= row[0]), units[-1])
    wanted = 1 - math.floor(math.log10(min(known) / factor))
    return Scale(factor, unit, min(3, max(digits if unit else 0, wanted)))


def tick(value: float) -> str:
    """Word a tick of a logarithmic axis: 0.5, 20, 5 k, 100 M."""
    factor, unit = next((row for row in COUNTS if value >= row[0]), COUNTS[-1])
    return f"{value / factor:g}" + (SPACE + unit if unit else "")


def plain(value: float) -> str:
    """Word a tick of a logarithmic axis that has its unit in the label: 0.5, 20, 5,000."""
    return number(value, 0) if value >= 1 else f"{value:g}"


def power(value: float) -> str:
    """Word a value that may be very large or small: as it is, or with a power of ten.

    >>> power(0.05), power(1e9), power(1e-7)
    ('0.05', '10⁹', '10⁻⁷')
    """
    if value == 0 or not math.isfinite(value) or 1e-3 <= abs(value) < 1e4:  # noqa: PLR2004 - read at a glance
        return f"{value:.3g}" if abs(value) < 100 else number(value, 0)  # noqa: PLR2004 - three figures at least
    mantissa, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(SUPERSCRIPT)
    return f"10{raised}" if float(mantissa) == 1 else f"{float(mantissa):g}{SPACE}·{SPACE}10{raised}"


def times(ratio: float) -> str:
    """Word an energy ratio SNN over ANN as 'x times less' or 'x times more'."""
    if math.isnan(ratio) or math.isinf(ratio):
        return "unknown"
    if ratio <= 0:
        return "nothing used"
    factor = max(ratio, 1 / ratio)
    if factor < 1.05:  # noqa: PLR2004 - would be worded as 1.0 times
        return "about the same"
    return f"{number(factor, 1 if factor < 10 else 0)} times {'less' if ratio < 1 else 'more'}"  # noqa: PLR2004


@functools.cache
def drawable() -> frozenset[int]:
    """Return the characters that the font of the figures has."""
    return frozenset(FT2Font(findfont("DejaVu Sans")).get_charmap())


def short(name: str, longest: int = LONGEST) -> str:
    """Shorten a layer's name for a figure from the left, since its end tells layers apart.

    >>> short("transformer.encoder.layers.11.mlp.activation")
    '…ayers.11.mlp.activation'
    """
    known = "".join(letter if ord(letter) in drawable() and letter.isprintable() else "?" for letter in name)
    return known if len(known) <= longest else "…" + known[1 - longest :]


def spiking_level(report: Report) -> str:
    """Say how spiking a network is, and what its operations were."""
    shares = report.shares
    parts = (
        (shares.binary, "accumulates at binary spikes"),
        (shares.graded, "at graded spikes"),
        (shares.analogue, "analogue"),
    )
    said = ", ".join(f"{number(100 * part, 1)}{SPACE}% {words}" for part, words in parts)
    level = f"{report.level} ({SPIKING_LEVELS.get(report.level, report.level)})"
    functions = f"; {report.functions} functions of signals at every step" if report.functions else ""
    return f"Level of spiking: {level}. Operations: {said}{functions}."


def in_turns(windows: int, steps: int, held: int, waits: int, biases: int, interval: int = 1) -> str:
    """Say how long an answer takes where layers take turns, and what it needs.

    >>> in_turns(3, 9, 0, 0, 4)
    'An answer takes 3 windows of 9 steps: 27; a new sample can enter every 9. Biases as spikes need 4 more neurons that fire.'
    """
    every = interval * steps
    said = [f"An answer takes {windows} windows of {steps} steps: {windows * steps}; a new sample can enter every {every}"]
    if held:
        many = f"{held} connections that skip layers hold" if held > 1 else "1 connection that skips layers holds"
        said.append(f"{many} what was sent, for {waits} windows altogether")
    if biases:
        said.append(f"Biases as spikes need {biases} more neurons that fire")
    return ". ".join(said) + "."
