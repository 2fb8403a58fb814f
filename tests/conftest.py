"""Fixed conditions for every test: one thread, one seed, repeatable examples."""

from __future__ import annotations

import functools
import logging

import pytest
import torch
import torch._export.utils
from hypothesis import HealthCheck, settings

from helpers import ALL_EXAMPLES, EVERY, recurrent, subject
from zoo.recurrent import RECURRENT

for profile, count in (("all", ALL_EXAMPLES), ("quick", ALL_EXAMPLES // 3)):
    settings.register_profile(
        profile,
        deadline=None,  # timing never decides a test
        derandomize=True,
        max_examples=count,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )

# The models are so small that handing work to a second thread costs more than the work itself.
torch.set_num_threads(1)

# torch.export formats a long trace for whoever listens, and pytest listens.
logging.getLogger("torch.__trace").disabled = True

# torch.export asks for all operators of C++ some thirty times in each export: a fifth of the time of a small one.
if hasattr(torch._export.utils, "_materialize_cpp_cia_ops"):
    torch._export.utils._materialize_cpp_cia_ops = functools.cache(torch._export.utils._materialize_cpp_cia_ops)


def pytest_configure(config):
    """Draw fewer random examples where the longer tests are left out."""
    settings.load_profile("quick" if config.option.markexpr == "not extended" else "all")


def pytest_collection_modifyitems(items):
    """Let the tests of a model follow each other on one worker, where its capture is cached: it costs more than most tests."""
    places = {name: place for place, name in enumerate((*EVERY, *RECURRENT))}
    behind = len(places)

    def place(item):
        of_all = "every_network" in getattr(item, "fixturenames", ())
        return places.get(model_of(item), behind if of_all else behind + 1)

    items.sort(key=place)


def model_of(item):
    """Return the name of the model that a test is about, or None; some names are not of models."""
    name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
    return name if isinstance(name, str) else None


@pytest.fixture
def every_network():
    """The captured networks of all models: whoever takes them runs behind the tests of the models, which leave them cached."""
    return [*(subject(name)[2] for name in EVERY), *(recurrent(name)[2] for name in RECURRENT)]


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
