"""Networks and spikes in the formats of others.

`nir` writes and checks the Neuromorphic Intermediate Representation, `load_nir` reads it, `compatibility` shows what other
programs make of it; `brian2` writes a script for Brian2;
`to_sinabs`, `to_norse` and
`to_snntorch` make networks of those frameworks; `write_events` and `read_events` hand over spike trains.
"""

from __future__ import annotations

from transpike.export.adapters import to_norse, to_sinabs, to_snntorch
from transpike.export.brian import WrittenBrian, brian2
from transpike.export.compact import Compact
from transpike.export.elsewhere import Outcome, compatibility
from transpike.export.events import read_events, write_events
from transpike.export.files import PROFILES, Written, nir
from transpike.export.portable import Portable
from transpike.export.reading import load_nir

__all__ = [
    "PROFILES",
    "Compact",
    "Outcome",
    "Portable",
    "Written",
    "WrittenBrian",
    "brian2",
    "compatibility",
    "load_nir",
    "nir",
    "read_events",
    "to_norse",
    "to_sinabs",
    "to_snntorch",
    "write_events",
]
