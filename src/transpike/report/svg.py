"""Figures as parts of an HTML page."""

from __future__ import annotations

import re

from markupsafe import Markup
from matplotlib.figure import Figure

from transpike.report.style import rendered

LEFT_OUT = re.compile(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>", re.DOTALL)
IDS = re.compile(r'(\bid="|href="#|url\(#)')
OPENING = (
    '<svg viewBox="{box}" role="img" aria-labelledby="{name}-title" aria-describedby="{name}-desc"'
    ' style="stroke-linejoin:round;stroke-linecap:butt"><title id="{name}-title">{title}</title>'
    '<desc id="{name}-desc">{caption}</desc>'
)


def inline(figure: Figure, name: str, title: str, caption: str) -> Markup:
    """Return a figure as an SVG element with title and description, whose ids begin with `name` and clash with none.

    Comments (they repeat texts of the figure), metadata and styles that would reach beyond the figure are left out.
    """
    text = LEFT_OUT.sub("", rendered(figure, "svg").decode())
    opening, body = text[text.index("<svg") :].split(">", 1)
    box = re.search(r'viewBox="([-0-9. ]+)"', opening)
    assert box is not None
    head = Markup(OPENING).format(box=box[1], name=name, title=title, caption=caption)  # noqa: S704 - format escapes
    return head + Markup(IDS.sub(rf"\g<1>{name}-", body))  # noqa: S704 - drawn by us: text is paths by now
