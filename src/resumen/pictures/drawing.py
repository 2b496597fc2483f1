"""A small builder for SVG: boxes, arrows, rows of words, in one style. A picture is 400 units wide, so that its smallest text is 11 pixels
high on a page of 400."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from math import fsum  # `sum` rounds otherwise before Python 3.12, and a picture is the same everywhere

WIDTH = 400
SHOWN = 560
"""The width in pixels at which a picture stands on a wide page."""

CARD, INK, SOFT, LINE = "#fbfaf7", "#1f2430", "#565b66", "#d5d2c8"
KINDS = {
    "plain": ("#ffffff", "#77736a"),
    "blue": ("#d3e7f5", "#00578a"),
    "orange": ("#fbe0cc", "#a84300"),
    "strong": ("#00578a", "#00578a"),
    "off": ("url(#off)", "#77736a"),
}
"""Fill and stroke of a box. `off` is hatched, and orange boxes have a thicker stroke: nothing is told by colour alone."""

DARK = {
    CARD: "#1b1f27",
    INK: "#eceae4",
    SOFT: "#b4b9c4",
    LINE: "#3a404c",
    "#ffffff": "#262b35",
    "#77736a": "#8b8f99",
    "#d3e7f5": "#12384f",
    "#00578a": "#5aa9d6",
    "#fbe0cc": "#4d2a12",
    "#a84300": "#f0935a",
    "#f1efe9": "#2e333d",
    "#d0ccc0": "#4a505c",
}
"""What each colour becomes on a dark card."""

FONTS = "Arial, Helvetica, 'DejaVu Sans', sans-serif"
NARROW, WIDE = frozenset("ijltfrI .,:;'!()/-"), frozenset("mwMW<>@=")


def number(value: float) -> str:
    """Return a number with one decimal, or with none if that is 0."""
    return f"{value:.1f}".removesuffix(".0")


def width_of(words: str, size: float = 11) -> float:
    """Return an estimate, rather too large than too small, of the width of a line of text."""
    return size * fsum(0.4 if letter in NARROW else 0.92 if letter in WIDE else 0.66 for letter in words)


class Drawing:
    """A card of its own colour, readable on light and dark pages, with a heading; and the alternative that tells what it teaches."""

    def __init__(self, heading: str, alt: str, height: int):
        self.alt = " ".join(alt.split())
        self.root = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {height}")
        self.root.attrib |= {
            "width": str(SHOWN),
            "height": f"{SHOWN * height / WIDTH:g}",
            "font-family": FONTS,
            "role": "img",
        }
        ET.SubElement(self.root, "title").text = heading
        ET.SubElement(self.root, "desc").text = self.alt
        definitions = ET.SubElement(self.root, "defs")
        for name, color in (("tip", SOFT), ("hot", KINDS["orange"][1])):
            tip = ET.SubElement(definitions, "marker", id=name, viewBox="0 0 8 8", refX="7", refY="4", orient="auto")
            ET.SubElement(tip, "path", d="M0 0 8 4 0 8z", fill=color)
            tip.attrib |= {"markerWidth": "7", "markerHeight": "7", "markerUnits": "userSpaceOnUse"}
        hatch = ET.SubElement(definitions, "pattern", id="off", width="5", height="5", patternUnits="userSpaceOnUse")
        ET.SubElement(hatch, "path", d="M0 0h5v5H0z", fill="#f1efe9")
        ET.SubElement(hatch, "path", d="M0 5 5 0", stroke="#d0ccc0")
        self._add("rect", x=0.5, y=0.5, width=WIDTH - 1, height=height - 1, rx=8, fill=CARD, stroke=LINE)
        self.text(16, 22, heading, size=14, anchor="start", bold=True)

    def _add(self, tag: str, **attributes: float | str) -> ET.Element:
        """Add an element: numbers with one decimal, `_` in a name as `-`."""
        values = {
            name.replace("_", "-"): value if isinstance(value, str) else number(value)
            for name, value in attributes.items()
        }
        return ET.SubElement(self.root, tag, values)

    def text(self, x, y, words: str, size=11, anchor="middle", bold=False, color=INK) -> None:
        """Write text whose lines are centred on `y`."""
        lines = words.split("\n")
        for number, line in enumerate(lines):
            baseline = y + size * (0.36 + 1.2 * (number - (len(lines) - 1) / 2))
            options = {"font_weight": "bold"} if bold else {}
            element = self._add("text", x=x, y=baseline, font_size=size, text_anchor=anchor, fill=color, **options)
            element.text = line

    def box(self, x, y, width, height, words="", kind="plain", bold=False, size=11, rx=4) -> None:
        """Draw a box with words in its middle."""
        fill, stroke = KINDS[kind]
        self._add("rect", x=x, y=y, width=width, height=height, rx=rx, fill=fill, stroke=stroke)
        if kind == "orange":
            self.root[-1].set("stroke-width", "2")
        if words:
            color = CARD if kind == "strong" else INK
            self.text(x + width / 2, y + height / 2, words, size, bold=bold, color=color)

    def line(self, *points: tuple[float, float], arrow=True, hot=False, dashed=False, width=1.5) -> None:
        """Draw a line through points, with a tip at its end."""
        path = "M" + " ".join(f"{number(x)} {number(y)}" for x, y in points)
        options = {"marker_end": f"url(#{'hot' if hot else 'tip'})"} if arrow else {}
        options |= {"stroke_dasharray": "4 3"} if dashed else {}
        self._add(
            "path", d=path, fill="none", stroke=KINDS["orange"][1] if hot else SOFT, stroke_width=width, **options
        )

    def words(self, x, y, words: Sequence[str], kinds: str | Sequence[str] = "plain", width=None, gap=4, height=22):
        """Draw a row of boxes, one for each word, as wide as the words or as `width`; return the middles of the boxes."""
        kinds = [kinds] * len(words) if isinstance(kinds, str) else kinds
        middles = []
        for word, kind in zip(words, kinds, strict=True):
            room = width or width_of(word) + 9
            self.box(x, y, room, height, word, kind)
            middles.append(x + room / 2)
            x += room + gap
        return middles

    def svg(self, dark: bool = False) -> str:
        """Return the picture, the same text each time: on its light card, or on a dark one."""
        text = ET.tostring(self.root, encoding="unicode")
        return re.sub("|".join(DARK), lambda color: DARK[color[0]], text) if dark else text
