"""The search itself, on Optuna: what is drawn next depends on the seed and on finished trials alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from transpike.errors import ArchiveError, require
from transpike.selection.trials import Trial

JOURNAL = "search.journal"
FAR = 1e6  # what the sampler is told of a recipe that cannot convert: far outside every limit
OBJECTIVES = 3  # Trial.costs
STARTUP = 10  # trials drawn at random before earlier ones guide the next


@dataclass(frozen=True)
class Space:
    """What may be chosen: recipes (whether they take a percentile), percentiles between two bounds, time steps."""

    recipes: Mapping[str, bool]
    percentiles: tuple[float, float]
    time_steps: Sequence[int]

    def draw(self, trial: Any) -> tuple[str, float | None, int]:
        """Return recipe, percentile and time steps as an Optuna trial suggests them.

        The share of activations above the threshold is drawn on a logarithmic scale: from 99 to 99.9 is as far as from
        99.9 to 99.99.
        """
        recipe = trial.suggest_categorical("recipe", list(self.recipes))
        steps = trial.suggest_categorical("time_steps", list(self.time_steps))
        if not self.recipes[recipe]:
            return recipe, None, steps
        low, high = self.percentiles
        tail = trial.suggest_float("tail", 100 - high, 100 - low, log=True)
        return recipe, round(100 - tail, 4), steps


class Study:
    """Trials of a space in an Optuna study, kept in a journal in `folder` if there is one.

    The sampler (a tree-structured Parzen estimator for several objectives) is seeded anew for each trial with the seed
    and the number of finished trials, so that a study which was interrupted goes on with the trials that it would have
    had. Raises MissingExtraError without Optuna, ArchiveError if the journal belongs to another search.
    """

    def __init__(self, space: Space, seed: int, folder: Path | None, key: str, *, resume: bool) -> None:
        self.space, self.seed = space, seed
        self.optuna = require("optuna", "search", "The search")
        self.optuna.logging.set_verbosity(self.optuna.logging.ERROR)
        storage = None if folder is None else self.journal(folder, resume=resume)
        self.study = self.optuna.create_study(
            storage=storage, study_name="search", directions=["minimize"] * OBJECTIVES, load_if_exists=True
        )
        if self.study.user_attrs.get("key", key) != key:
            raise ArchiveError(f"{folder} holds a search of another model, other samples or settings: choose another folder.")
        self.study.set_user_attr("key", key)
        for one in self.study.get_trials(deepcopy=False):
            if one.state == self.optuna.trial.TrialState.RUNNING:  # it was interrupted
                self.study.tell(one.number, state=self.optuna.trial.TrialState.FAIL)

    def journal(self, folder: Path, *, resume: bool) -> Any:
        """Return the storage in `folder`, emptied unless the search goes on."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        path = folder / JOURNAL
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not resume:
                path.unlink(missing_ok=True)
            return JournalStorage(JournalFileBackend(str(path)))
        except OSError as error:
            raise ArchiveError(f"Cannot keep the search in {folder}: {error.strerror or error}.") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ArchiveError(f"{path} is damaged ({error}): search anew without --resume.") from None

    def finished(self) -> list[Any]:
        """Return the finished trials of Optuna in order."""
        return self.study.get_trials(deepcopy=False, states=(self.optuna.trial.TrialState.COMPLETE,))

    def advance(self, attempt: Callable[[str, float | None, int], Trial | str], excess: Callable[[Trial], float]) -> None:
        """Make one trial: `attempt` measures what is drawn, or words why it cannot be converted."""
        self.study.sampler = self.sampler(len(self.finished()))
        trial = self.study.ask()
        drawn = self.space.draw(trial)
        known = {one.user_attrs["drawn"]: one.user_attrs for one in self.finished()}
        earlier = known.get(repr(drawn))
        outcome: Trial | str = attempt(*drawn) if earlier is None else earlier["refusal"] or Trial(**earlier["trial"])
        trial.set_user_attr("drawn", repr(drawn))
        trial.set_user_attr("refusal", outcome if isinstance(outcome, str) else "")
        trial.set_user_attr("trial", {} if isinstance(outcome, str) else dataclasses.asdict(outcome))
        trial.set_constraint("limits", FAR if isinstance(outcome, str) else excess(outcome))
        self.study.tell(trial, [FAR] * OBJECTIVES if isinstance(outcome, str) else list(outcome.costs()))

    def sampler(self, index: int) -> Any:
        """Return the sampler of the trial `index`."""
        return self.optuna.samplers.TPESampler(
            seed=int(np.random.SeedSequence([self.seed, index]).generate_state(1)[0]),
            n_startup_trials=STARTUP,
            constant_liar=False,
        )

    def trials(self) -> tuple[Trial, ...]:
        """Return what was measured, each drawn setting once, in order."""
        found = {one.user_attrs["drawn"]: one.user_attrs["trial"] for one in self.finished() if not one.user_attrs["refusal"]}
        return tuple(Trial(**values) for values in found.values())

    def refusals(self) -> tuple[str, ...]:
        """Return why recipes could not convert, each reason once."""
        words = (one.user_attrs["refusal"] for one in self.finished())
        return tuple(dict.fromkeys(word for word in words if word))
