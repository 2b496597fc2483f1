"""The course's figures, in one style. Each function returns (figure, text alternative); `show` puts both on the page."""

import base64
import html
import io
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

COLORS = {"en": "#0072B2", "es": "#D55E00"}
"""Okabe and Ito's palette, which colour-blind readers can tell apart (https://jfly.uni-koeln.de/color)."""

PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
LINE_STYLES = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D")
"""Without colour, lines can still be told apart, and where one lies on another both show."""

NAMES = {"en": "English", "es": "Spanish", "all": "both"}
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "font.size": 10,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


def show(figure: Figure, alt: str) -> None:
    """Display a figure as PNG with its text alternative, as the image's alt text and as lines under it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
    display_image(buffer.getvalue(), "image/png", alt)
    # JupyterLab breaks a long line in the middle of a word, GitHub hides its end.
    print(textwrap.fill(f"Figure: {alt}", 96, break_on_hyphens=False))


def display_image(data: bytes, kind: str, alt: str) -> None:
    """Display an image of a MIME type with its alternative."""
    # An element of its own, because JupyterLab drops the alternative of an image output, and shows SVG only in trusted notebooks.
    source = f"data:{kind};base64,{base64.b64encode(data).decode()}"
    image = f'<img alt="{html.escape(alt)}" style="max-width:100%" src="{source}">'
    display({"text/html": image, "text/plain": alt}, raw=True)


def length_histograms(
    lengths: Mapping[str, Sequence[int]], unit: str, title: str, limit: float | None = None
) -> tuple[Figure, str]:
    """One histogram per language, with its median and its 95th percentile.

    Args:
        lengths: language code to lengths.
        unit: what is counted, such as "words per title".
        limit: right end of the axis; what lies beyond is counted in the last bar.
    """
    top = limit or max(max(values) for values in lengths.values())
    # Few lengths: one bar for each, centred on it. Many: forty bars.
    bins = np.arange(int(top) + 2) - 0.5 if top <= 40 else np.linspace(0, top, 41)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, len(lengths), figsize=(4.2 * len(lengths), 3.2), sharey=True, squeeze=False, layout="constrained"
        )
        parts = []
        for panel, (language, values) in zip(axes[0], lengths.items(), strict=True):
            median, high = float(np.median(values)), float(np.percentile(values, 95))
            panel.hist(np.clip(values, 0, top), bins=bins, color=COLORS.get(language, PALETTE[0]))
            panel.axvline(median, color="black", linestyle="--", linewidth=1, label=f"median {median:g}")
            panel.axvline(high, color="black", linestyle=":", linewidth=1.5, label=f"95th percentile {high:.0f}")
            panel.set(title=NAMES.get(language, language), xlabel=unit)
            # The lines may run through the legend: a white ground keeps it readable.
            panel.legend(loc="upper right", framealpha=1, edgecolor="white")
            parts.append(
                f"{NAMES.get(language, language)}: median {median:g}, 95th percentile {high:.0f}, longest {max(values)}"
            )
        axes[0][0].set_ylabel("reviews")
        figure.suptitle(title)
    return figure, f"{title}. Histograms of {unit}. " + "; ".join(parts) + "."


def category_counts(counts: pd.DataFrame, title: str, highlight: Sequence[str] = ()) -> tuple[Figure, str]:
    """Horizontal bars of reviews per category.

    Args:
        counts: index category, one column of counts per language.
        highlight: categories to name in the text alternative.
    """
    counts = counts.sort_values(counts.columns[0])
    height = 0.8 / len(counts.columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(7.5, 0.42 * len(counts) + 1.2), layout="constrained")
        for number, language in enumerate(counts.columns):
            axes.barh(
                np.arange(len(counts)) + number * height,
                counts[language],
                height,
                color=COLORS.get(language, PALETTE[number]),
                label=NAMES.get(language, language),
            )
        axes.set_yticks(np.arange(len(counts)) + height * (len(counts.columns) - 1) / 2, counts.index)
        axes.set(xlabel="reviews", title=title)
        axes.grid(axis="y", visible=False)
        axes.legend(frameon=False, loc="lower right")
    named = highlight or list(counts.index[::-1][:2])
    parts = [
        f"{name}: "
        + ", ".join(f"{counts.loc[name, language]:,} {NAMES.get(language, language)}" for language in counts.columns)
        for name in named
    ]
    return figure, f"{title}. Bars of reviews per category, {len(counts)} categories. " + "; ".join(parts) + "."


def grouped_bars(
    values: pd.DataFrame,
    ylabel: str,
    title: str,
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] | None = None,
) -> tuple[Figure, str]:
    """Bars for every (group, series), with 95 % intervals if given.

    Args:
        values: index group (such as a language or a score), one column per series (such as a system).
        ylabel: the quantity and its unit.
        intervals: series to group to (low, high), in the unit of the values.
    """
    width = 0.8 / len(values.columns)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(max(5.5, 0.55 * values.size + 1.5), 3.6), layout="constrained")
        for number, series in enumerate(values.columns):
            places = np.arange(len(values)) + number * width
            heights = values[series].to_numpy(dtype=float)
            error = None
            if intervals and series in intervals:
                bounds = np.array([intervals[series][group] for group in values.index], dtype=float)
                error = np.abs(bounds.T - heights)
            axes.bar(
                places,
                heights,
                width * 0.92,
                yerr=error,
                capsize=3,
                color=PALETTE[number % len(PALETTE)],
                label=str(series),
            )
        axes.set_xticks(
            np.arange(len(values)) + width * (len(values.columns) - 1) / 2,
            [NAMES.get(group, group) for group in values.index],
        )
        axes.set(ylabel=ylabel, title=title)
        axes.grid(axis="x", visible=False)
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    parts = [
        f"{NAMES.get(group, group)}: "
        + ", ".join(f"{series} = {values.loc[group, series]:.1f}" for series in values.columns)
        for group in values.index
    ]
    whiskers = " The lines on the bars are 95 % bootstrap intervals." if intervals else ""
    return figure, f"{title}. Bars of {ylabel}. " + "; ".join(parts) + "." + whiskers


def intervals(
    panels: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]], xlabel: str, title: str
) -> tuple[Figure, str]:
    """A dot and its interval for every row, a panel per language on the same axis.

    Args:
        panels: language to series to row to its mean, low and high; the rows are those of the first series.
        xlabel: the quantity and its unit.
    """
    rows = list(next(iter(next(iter(panels.values())).values())))
    parts = []
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1,
            len(panels),
            figsize=(4.2 * len(panels), 0.42 * len(rows) + 1.4),
            sharex=True,
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        for panel, (language, series) in zip(axes[0], panels.items(), strict=True):
            for number, (name, values) in enumerate(series.items()):
                means, lows, highs = (np.array([values[row][key] for row in rows]) for key in ("mean", "low", "high"))
                panel.errorbar(
                    means,
                    # Series stand below one another, so that no line hides another.
                    np.arange(len(rows)) + 0.3 * (number - (len(series) - 1) / 2),
                    xerr=[means - lows, highs - means],
                    fmt=MARKERS[number % len(MARKERS)],
                    capsize=3,
                    color=PALETTE[number % len(PALETTE)],
                    label=name,
                )
                told = (
                    f"{row} {values[row]['mean']:.1f} [{values[row]['low']:.1f}, {values[row]['high']:.1f}]"
                    for row in rows
                )
                parts.append(f"{NAMES.get(language, language)}, {name}: {', '.join(told)}")
            panel.set(title=NAMES.get(language, language), xlabel=xlabel)
        axes[0][0].set_yticks(range(len(rows)), rows)
        axes[0][0].invert_yaxis()
        if len(series) > 1:
            axes[0][-1].legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.suptitle(title)
    return figure, f"{title}. Dots of {xlabel}. " + "; ".join(
        parts
    ) + ". The lines through the dots are 95 % intervals."


def forest(
    differences: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]],
    scores: Sequence[str],
    title: str,
    xlabel: str = "difference in ROUGE F1 × 100",
) -> tuple[Figure, str]:
    """Intervals of differences, right of the line at zero if better: one panel per language, one row per system, one mark per score.

    Args:
        differences: {language: {system: {score: {"mean", "low", "high"}}}}, as `experiment.compare` returns them.
        scores: which scores to draw, in this order.
        title: what is compared.
        xlabel: the quantity and its unit.
    """
    panels = {
        language: {score: {system: row[score] for system, row in systems.items()} for score in scores}
        for language, systems in differences.items()
    }
    figure, alt = intervals(panels, xlabel, title)
    for panel in figure.axes:
        panel.axvline(0, color="black", linewidth=1)
    return figure, alt


def curves(
    lines: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    title: str,
    start: int = 1,
    ticks: Sequence[str] | None = None,
    ranges: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
) -> tuple[Figure, str]:
    """One line per name over consecutive steps or epochs, the first numbered `start`. NaN leaves a gap.

    Args:
        ticks: what stands below each point in place of its number.
        ranges: name to (lows, highs): a band around the line, such as the lowest and highest of several seeds.
    """
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(6.2, 3.4), layout="constrained")
        for number, (name, values) in enumerate(lines.items()):
            axes.plot(
                range(start, start + len(values)),
                values,
                marker="o" if len(values) < 30 else None,
                linestyle=LINE_STYLES[number % len(LINE_STYLES)],
                color=PALETTE[number % len(PALETTE)],
                label=name,
            )
            if ranges and name in ranges:
                axes.fill_between(
                    range(start, start + len(values)), *ranges[name], color=PALETTE[number % len(PALETTE)], alpha=0.2
                )
        if ticks or max(map(len, lines.values())) < 15:
            axes.set_xticks(range(start, start + max(map(len, lines.values()))), ticks)
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        if len(lines) > 1:
            axes.legend(frameon=False)
    known = {name: [value for value in values if not np.isnan(value)] for name, values in lines.items()}
    parts = [f"{name} from {values[0]:.2f} to {values[-1]:.2f}" for name, values in known.items()]
    if ticks:
        parts = [
            f"{name} " + ", ".join(f"{value:.1f} at {tick}" for tick, value in zip(ticks, values, strict=True))
            for name, values in lines.items()
        ]
    return figure, f"{title}. Lines of {ylabel} against {xlabel}. " + "; ".join(parts) + "."


def heat_maps(
    panels: Mapping[str, pd.DataFrame], xlabel: str, ylabel: str, title: str, scale: str
) -> tuple[Figure, str]:
    """One table of shares per language as shades from 0 (white) to 1 (dark), such as attention weights.

    Args:
        panels: language to table; names of rows and columns stand beside it, and may repeat.
        scale: what a shade stands for.
    """
    parts = []
    with plt.rc_context(STYLE | {"axes.grid": False}):
        figure, axes = plt.subplots(
            1, len(panels), figsize=(4.6 * len(panels) + 0.6, 4.6), squeeze=False, layout="constrained"
        )
        for panel, (language, table) in zip(axes[0], panels.items(), strict=True):
            shades = panel.imshow(table, cmap="Blues", vmin=0, vmax=1, aspect="auto")
            panel.set_xticks(range(table.shape[1]), table.columns, rotation=90)
            panel.set_yticks(range(table.shape[0]), table.index)
            panel.set(title=NAMES.get(language, language), xlabel=xlabel, ylabel=ylabel)
            places = table.to_numpy().argmax(axis=1)
            told = (
                f"{row} from {table.columns[place]} ({table.iat[number, place]:.2f})"
                for number, (row, place) in enumerate(zip(table.index, places, strict=True))
            )
            parts.append(f"{NAMES.get(language, language)}, each row's largest: {', '.join(told)}")
        figure.colorbar(shades, ax=list(axes[0]), label=scale, shrink=0.7)
        figure.suptitle(title)
    return figure, f"{title}. Shades of {scale}, {ylabel} against {xlabel}. " + "; ".join(parts) + "."
