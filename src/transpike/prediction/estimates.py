"""What is predicted of a spiking network before it is simulated; every estimate states how far off it was where measured."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from transpike.errors import ArchiveError
from transpike.files import read_json, write_text
from transpike.parts import Finding

FORMAT = 1


@dataclass(frozen=True)
class Estimate:
    """An estimate of the answers after `time_steps` steps; fractions of the samples.

    `agreement` is with the ANN's answers, `accuracy` is known where the samples have labels. `passes` counts the
    applications of every weight per sample that it took; a simulation takes `time_steps`. `band` is the largest
    difference to the simulated accuracy that was measured, in points; None where none can be stated.
    """

    time_steps: int
    agreement: float
    accuracy: float | None
    passes: int
    band: float | None

    @property
    def value(self) -> float:
        """The accuracy, or the agreement with the ANN where there are no labels."""
        return self.agreement if self.accuracy is None else self.accuracy


@dataclass(frozen=True)
class Prediction:
    """The estimates for one network: `clipped` of the limit of many steps, `over_time` and `corrected` step by step.

    `corrected` is empty unless some samples were simulated. Compare estimates of one list: their errors are alike.
    """

    method: str
    samples: int
    simulated: int
    reference_accuracy: float | None
    clipped: Estimate
    over_time: tuple[Estimate, ...]
    corrected: tuple[Estimate, ...]
    findings: tuple[Finding, ...]

    @property
    def best(self) -> tuple[Estimate, ...]:
        """The estimates step by step that rest on most: those corrected by simulated samples, if there are any."""
        return self.corrected or self.over_time

    def to_json(self) -> str:
        """Return the prediction as JSON text."""
        return json.dumps({"format": FORMAT, **dataclasses.asdict(self)}, indent=1)

    def save(self, path: str | Path) -> None:
        """Write the prediction as JSON, whole or not at all."""
        write_text(Path(path), self.to_json())

    @staticmethod
    def load(path: str | Path) -> Prediction:
        """Read a prediction; raises ArchiveError if the file is damaged or of a newer version."""
        values = read_json(Path(path), "prediction")
        if not isinstance(values.get("format"), int) or values["format"] > FORMAT:
            raise ArchiveError(f"{path} is no prediction that this version reads: update with pip install -U transpike.")
        try:
            plain = {name: values[name] for name in ("method", "samples", "simulated", "reference_accuracy")}
            return Prediction(
                **plain,
                clipped=Estimate(**values["clipped"]),
                over_time=tuple(Estimate(**one) for one in values["over_time"]),
                corrected=tuple(Estimate(**one) for one in values["corrected"]),
                findings=tuple(Finding(**one) for one in values["findings"]),
            )
        except (TypeError, KeyError, AttributeError) as error:
            raise ArchiveError(f"{path} is not a complete prediction ({error}): predict again.") from error
