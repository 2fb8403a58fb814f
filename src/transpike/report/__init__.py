"""A report for people: its figures, each also for papers, and the page that gathers everything in one file."""

from __future__ import annotations

from transpike.report.document import page, write_page
from transpike.report.figures import FIGURES, Drawing
from transpike.report.style import save_figure

__all__ = ["FIGURES", "Drawing", "page", "save_figure", "write_page"]
