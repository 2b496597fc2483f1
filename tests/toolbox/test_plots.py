"""Figures: axes have labels, and the text alternative has the numbers."""

import html

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from resumen import plots

SCORES = pd.DataFrame({"lead-3": [12.34, 15.61], "model": [20.0, 18.25]}, index=["en", "es"])
INTERVALS = {
    "test": {
        "lead-1": {"mean": 12.34, "low": 10.0, "high": 15.0},
        "oracle": {"mean": 30.0, "low": 28.0, "high": 32.0},
    },
    "hard": {"lead-1": {"mean": 4.0, "low": 3.5, "high": 5.0}, "oracle": {"mean": 9.5, "low": 8.0, "high": 11.0}},
}
GAPS = {"lead-1": {"mean": -0.5, "low": -1.0, "high": 0.2}, "lead-3": {"mean": 2.0, "low": 1.0, "high": 3.5}}
DIFFERENCES = {
    language: {system: {"rouge1": gap, "rougeL": gap} for system, gap in GAPS.items()} for language in ("en", "es")
}
SHARES = pd.DataFrame([[0.25, 0.75], [0, 1], [0.5, 0.5]], index=["a", "b", "a"], columns=["a", "b"])
FIGURES = {
    "histograms": (
        lambda: plots.length_histograms({"en": [1, 2, 3, 50], "es": [2, 4, 9]}, "words per title", "Lengths", limit=10),
        ["Lengths", "words per title", "English: median 2.5", "longest 50", "Spanish: median 4", "longest 9"],
    ),
    "categories": (
        lambda: plots.category_counts(pd.DataFrame({"en": [1200, 7], "es": [30, 4]}, index=["book", "pc"]), "Counts"),
        ["Counts", "book: 1,200 English, 30 Spanish", "pc: 7 English, 4 Spanish", "2 categories"],
    ),
    "bars": (
        lambda: plots.grouped_bars(SCORES, "ROUGE-1 F1 × 100", "Baselines"),
        [
            "Baselines",
            "ROUGE-1 F1 × 100",
            "English: lead-3 = 12.3, model = 20.0",
            "Spanish: lead-3 = 15.6, model = 18.2",
        ],
    ),
    "intervals": (
        lambda: plots.intervals({"en": INTERVALS, "es": INTERVALS}, "ROUGE-1 F1 × 100", "Floors"),
        [
            "Floors",
            "ROUGE-1 F1 × 100",
            "English, test: lead-1 12.3 [10.0, 15.0], oracle 30.0 [28.0, 32.0]",
            "Spanish, hard: lead-1 4.0 [3.5, 5.0], oracle 9.5 [8.0, 11.0]",
            "95 % intervals",
        ],
    ),
    "curves": (
        lambda: plots.curves({"train": [3.0, 2.0, 1.256], "validation": [4.0, 3.5]}, "epoch", "loss (nats)", "Loss"),
        ["Loss", "loss (nats) against epoch", "train from 3.00 to 1.26", "validation from 4.00 to 3.50"],
    ),
    "heat maps": (
        lambda: plots.heat_maps({"en": SHARES, "es": SHARES}, "from", "to", "A head", "attention weight"),
        [
            "A head. Shades of attention weight, to against from",
            "English, each row's largest: a from b (0.75), b from b (1.00), a from a (0.50)",
            "Spanish, each row's largest: a from b (0.75)",
        ],
    ),
    "forest": (
        lambda: plots.forest(DIFFERENCES, ["rouge1", "rougeL"], "Fine-tuned minus a system"),
        [
            "Fine-tuned minus a system",
            "English, rouge1: lead-1 -0.5 [-1.0, 0.2], lead-3 2.0 [1.0, 3.5]",
            "Spanish, rougeL: lead-1 -0.5 [-1.0, 0.2], lead-3 2.0 [1.0, 3.5]",
            "95 % intervals",
        ],
    ),
}


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name", FIGURES)
def test_labels_and_alternative(name):
    draw, parts = FIGURES[name]
    figure, alt = draw()
    for part in parts:
        assert part in alt
    assert alt.endswith(".") and "\n" not in alt
    quantities = [axes.get_xlabel() or axes.get_ylabel() for axes in figure.axes]
    assert all(quantities), "every panel needs a labelled axis"
    titles = [axes.get_title() for axes in figure.axes] + [figure.get_suptitle()]
    assert any(titles)


def test_both_axes_of_histograms_and_curves_are_labelled():
    for name in ("histograms", "curves"):
        figure, _ = FIGURES[name][0]()
        assert figure.axes[0].get_xlabel() and figure.axes[0].get_ylabel()


def test_bars_show_the_values_and_their_intervals():
    intervals = {"model": {"en": (18.0, 23.0), "es": (17.0, 19.0)}}
    figure, alt = plots.grouped_bars(SCORES, "ROUGE-1", "T", intervals)
    axes = figure.axes[0]
    assert sorted(round(bar.get_height(), 2) for bar in axes.patches) == sorted(SCORES.to_numpy().ravel().tolist())
    (errors,) = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    ends = [sorted(segment[:, 1].round(2).tolist()) for segment in errors.lines[2][0].get_segments()]
    assert ends == [[18.0, 23.0], [17.0, 19.0]]
    assert "95 % bootstrap intervals" in alt
    assert "interval" not in plots.grouped_bars(SCORES, "ROUGE-1", "T")[1]


def test_intervals_are_where_they_should_be():
    figure, _ = plots.intervals({"en": INTERVALS}, "ROUGE-1", "T")
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lead-1", "oracle"]
    assert axes.yaxis_inverted(), "the first row is on top"
    drawn = [container for container in axes.containers if isinstance(container, ErrorbarContainer)]
    ends = [segment[:, 0].round(2).tolist() for one in drawn for segment in one.lines[2][0].get_segments()]
    assert ends == [[10.0, 15.0], [28.0, 32.0], [3.5, 5.0], [8.0, 11.0]]
    heights = [tuple(one.lines[0].get_ydata()) for one in drawn]
    assert len(set(heights)) == 2, "one series lies on the other"


def test_histogram_counts_what_lies_beyond_the_limit():
    figure, _ = plots.length_histograms({"en": [1, 5, 99, 100]}, "words", "T", limit=10)
    heights = [bar.get_height() for bar in figure.axes[0].patches]
    assert sum(heights) == 4 and heights[-1] == 2


def test_curves_leave_a_gap_for_nan():
    figure, text = plots.curves(
        {"training": [float("nan"), 1.5, 1.0], "validation": [4.0, 2.5, 2.6]}, "epoch", "loss", "T", start=0
    )
    assert "training from 1.50 to 1.00; validation from 4.00 to 2.60" in text
    assert [list(line.get_xdata()) for line in figure.axes[0].lines] == [[0, 1, 2]] * 2


def test_curves_that_lie_on_each_other_both_show():
    figure, _ = plots.curves({"one": [2.0, 1.0], "other": [2.0, 1.0]}, "step", "loss", "T")
    first, second = (line.get_linestyle() for line in figure.axes[0].lines)
    assert first != second


def test_curves_start_where_they_say():
    figure, _ = plots.curves({"loss": [2.0, 1.0]}, "limit", "share (%)", "T", start=16)
    assert figure.axes[0].lines[0].get_xdata().tolist() == [16, 17]


def test_curves_with_ticks_and_ranges():
    """The points are numbers of pairs, say, and no steps: the text alternative names each."""
    figure, text = plots.curves(
        {"en": [0.0, 5.04, 9.0]},
        "pairs",
        "ROUGE",
        "T",
        ticks=["0", "100", "all"],
        ranges={"en": ([0, 4, 8], [0, 6, 10])},
    )
    assert "en 0.0 at 0, 5.0 at 100, 9.0 at all" in text
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0", "100", "all"]
    (band,) = axes.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.tolist()}
    assert {(2, 4), (2, 6), (3, 8), (3, 10)} <= corners


def test_forest_draws_every_interval():
    figure, _ = plots.forest(DIFFERENCES, ["rouge1", "rougeL"], "T")
    assert len(figure.axes) == 2
    for axes in figure.axes:
        containers = [one for one in axes.containers if isinstance(one, ErrorbarContainer)]
        assert len(containers) == 2
        for container in containers:
            ends = [segment[:, 0].round(2).tolist() for segment in container.lines[2][0].get_segments()]
            assert ends == [[-1.0, 0.2], [1.0, 3.5]]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["lead-1", "lead-3"]
    first, last = figure.axes[0].get_ylim()
    assert first > last, "the first system stands on top"


def test_show_puts_image_and_alternative_on_the_page(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw: shown.append(data))
    figure, alt = FIGURES["curves"][0]()
    plots.show(figure, alt)
    alternative = f'<img alt="{html.escape(alt)}" style="max-width:100%" src="data:image/png;base64,iVBOR'
    assert shown[0]["text/html"].startswith(alternative)
    assert shown[0]["text/plain"] == alt
    lines = capsys.readouterr().out.splitlines()
    assert " ".join(lines) == f"Figure: {alt}"
    assert len(lines) > 1 and max(map(len, lines)) <= 100, "viewers break long lines anywhere, or hide their ends"
    assert not plt.get_fignums(), "an open figure would be shown twice"


def test_the_same_figure_is_the_same_bytes(monkeypatch):
    images = []
    monkeypatch.setattr(plots, "display", lambda data, raw: images.append(data))
    for _ in range(2):
        plots.show(*FIGURES["bars"][0]())
    assert images[0] == images[1]
