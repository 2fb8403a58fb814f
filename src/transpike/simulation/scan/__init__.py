"""The fused scan: neurons of one layer through many time steps in one call."""

from __future__ import annotations

from transpike.simulation.scan.operator import fire_scan, implementation
from transpike.simulation.scan.rule import Rule, rule_of

__all__ = ["Rule", "fire_scan", "implementation", "rule_of"]
