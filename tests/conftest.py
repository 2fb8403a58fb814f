"""Fixed conditions for every test: one thread, one seed, repeatable examples."""

from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import settings

settings.register_profile("transpike", deadline=None, derandomize=True, max_examples=25, database=None)
settings.load_profile("transpike")

# The models are so small that handing work to a second thread costs more than the work itself.
torch.set_num_threads(1)

# torch.export formats a long trace for whoever listens, and pytest listens.
logging.getLogger("torch.__trace").disabled = True


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
