"""Fixed conditions for every test: one thread, one seed, repeatable examples."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import HealthCheck, settings

for profile, count in (("all", 25), ("quick", 8)):
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


def pytest_configure(config):
    """Draw fewer random examples where the longer tests are left out."""
    settings.load_profile("quick" if config.option.markexpr == "not extended" else "all")


def pytest_collection_modifyitems(items):
    """Keep the tests of one model on one worker, where its capture is cached: tracing it costs more than most tests."""
    for item in items:
        name = item.callspec.params.get("name") if hasattr(item, "callspec") else None
        if isinstance(name, str):
            item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
