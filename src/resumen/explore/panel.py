"""Controls with a figure below them. Where nobody reads, the figure alone, as it is at first."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from resumen.explore.reader import reader_present
from resumen.plots import show

NAMES = """
window.resumenNames ||= (() => {
    const name = () => document.querySelectorAll(".widget-slider .noUi-handle:not([aria-label])").forEach((handle) =>
        handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector("label").textContent));
    new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
    return name;
})();
window.resumenNames();
"""
"""ipywidgets 8 shows the description beside a slider and gives its handle no name, so a screen reader would say "slider" only."""


@dataclass(frozen=True)
class Typed:
    """A field with a text."""

    label: str
    value: str


@dataclass(frozen=True)
class Slider:
    """A whole number from `low` to `high`."""

    label: str
    value: int
    low: int
    high: int


def panel(draw: Callable[..., tuple[Figure, str]], controls: Sequence[Typed | Slider]):
    """Return the controls and the figure that `draw` makes of their values, in their order; None where nobody reads.

    Args:
        draw: returns a figure and its text alternative, as the functions of `resumen.plots` do.
    """
    if not reader_present():
        show(*draw(*(control.value for control in controls)))
        return None
    import ipywidgets as widgets  # here: the package itself needs none
    from IPython.display import Javascript, display

    fields = []
    for control in controls:
        options = {"description": control.label, "value": control.value, "continuous_update": False}
        options |= {"style": {"description_width": "12em"}, "layout": {"width": "100%", "max_width": "48em"}}
        if isinstance(control, Slider):
            fields.append(widgets.IntSlider(min=control.low, max=control.high, **options))
        else:
            fields.append(widgets.Text(**options))
    figure = widgets.interactive_output(
        lambda **values: show(*draw(*values.values())), {str(number): field for number, field in enumerate(fields)}
    )
    if any(isinstance(control, Slider) for control in controls):
        display(Javascript(NAMES))
    return widgets.VBox([*fields, figure])
