"""Pictures: whole, small, readable at 400 pixels in a wide font, and right in every number."""

import base64
import re
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from PIL import ImageFont
from torch.utils.data import BatchSampler, SequentialSampler

from resumen import pictures, plots
from resumen.errors import CourseError
from resumen.metrics import mean_interval, resampled_means, rouge_l, rouge_lsum, rouge_n
from resumen.pictures import corpus, drawing, model, processes, scores
from resumen.setup import STAGES
from resumen.tokenization import IGNORE, collate, shift_right

FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
TAG = "{http://www.w3.org/2000/svg}"
DRAWN = {name: (name, {}) for name in pictures.PICTURES}
DRAWN |= {f"pipeline {here}": ("pipeline", {"here": here}) for here in corpus.COURSE | {"primer": corpus.PRIMER}}


@pytest.fixture(params=DRAWN)
def drawn(request):
    name, options = DRAWN[request.param]
    return pictures.draw(name, **options)


def elements(made, tag):
    """Return the attributes of the elements that are drawn, numbers as numbers, and what they say."""
    found = []
    for element in ET.fromstring(made.svg()).findall(f"{TAG}{tag}"):
        numbers = {name: float(value) for name, value in element.attrib.items() if re.fullmatch(r"-?[\d.]+", value)}
        found.append(SimpleNamespace(**{"fill": None, **element.attrib, **numbers, "words": element.text}))
    return found


def texts(made):
    """Return the texts with the place that they take in DejaVu Sans, which is wider than Arial."""
    found = elements(made, "text")
    for text in found:
        style = "-Bold" if "font-weight" in vars(text) else ""
        size, anchor = vars(text)["font-size"], vars(text)["text-anchor"]
        room = ImageFont.truetype(FONTS / f"DejaVuSans{style}.ttf", 100).getlength(text.words) * size / 100
        text.left = text.x - {"start": 0, "middle": room / 2, "end": room}[anchor]
        text.right, text.top, text.bottom = text.left + room, text.y - 0.76 * size, text.y + 0.24 * size
    return found


def rows(made):
    """Return the words of the picture line by line, from left to right."""
    lines = {}
    for text in sorted(texts(made), key=lambda text: text.x):
        lines.setdefault(round(text.y), []).append(text.words)
    return [lines[y] for y in sorted(lines)]


def said(made):
    return " ".join(word for row in rows(made) for word in row)


def luminance(color):
    parts = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_title_and_alternative(drawn):
    root = ET.fromstring(drawn.svg())
    assert root.find(f"{TAG}title").text and root.find(f"{TAG}desc").text == drawn.alt
    assert 60 <= len(drawn.alt) <= 500 and "  " not in drawn.alt
    assert 1 <= len(re.findall(r"[.?](?= [A-Z\"`]|$)", drawn.alt)) <= 3, drawn.alt


def test_small_and_always_the_same(drawn, request):
    name, options = DRAWN[request.node.callspec.params["drawn"]]
    assert len(drawn.svg().encode()) <= 12_000
    assert pictures.draw(name, **options).svg() == drawn.svg()


def test_text_is_large_enough_on_a_page_of_400_pixels(drawn):
    width = float(ET.fromstring(drawn.svg()).get("viewBox").split()[2])
    assert min(vars(text)["font-size"] for text in elements(drawn, "text")) * 400 / width >= 11


def test_text_stays_in_its_box_and_meets_no_other(drawn):
    found, boxes = texts(drawn), elements(drawn, "rect")
    for text in found:
        around = [box for box in boxes if box.x < text.x < box.x + box.width and box.y < text.y < box.y + box.height]
        box = min(around, key=lambda box: box.width * box.height)
        # The card has a margin; a box has a little room on either side.
        room = 8 if box.width == drawing.WIDTH - 1 else 1
        assert box.x + room <= text.left and text.right <= box.x + box.width - room, text.words
        for other in found:
            if other is not text:
                apart = text.right <= other.left or other.right <= text.left
                assert apart or text.bottom <= other.top or other.bottom <= text.top, (text.words, other.words)


def test_contrast(drawn):
    """4.5 to 1, as WCAG 2.2 AA asks for. A hatched box counts as its darkest line."""
    boxes = elements(drawn, "rect")
    for text in texts(drawn):
        around = [box for box in boxes if box.x < text.x < box.x + box.width and box.y < text.y < box.y + box.height]
        ground = min(around, key=lambda box: box.width * box.height).fill.replace("url(#off)", "#d0ccc0")
        dark, light = sorted(map(luminance, (text.fill, ground)))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, text.words


def test_show_displays_an_image_with_its_alternative(monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "display", lambda data, raw: shown.append(data))
    pictures.show("causal_mask")
    made = pictures.draw("causal_mask")
    element = ET.fromstring(shown[0]["text/html"].replace('">', '"/>'))
    assert element.tag == "img" and element.get("alt") == made.alt == shown[0]["text/plain"]
    kind, _, data = element.get("src").partition(";base64,")
    assert kind == "data:image/svg+xml" and base64.b64decode(data).decode() == made.svg()


def test_markup_is_escaped():
    made = drawing.Drawing("<b>", 'a "quoted" <alt> & more', 100)
    made.box(10, 40, 80, 20, "</s> & <pad>")
    assert "&lt;/s&gt; &amp; &lt;pad&gt;" in made.svg()
    assert [text.words for text in elements(made, "text")] == ["<b>", "</s> & <pad>"]


def test_unknown_names_give_one_sentence():
    with pytest.raises(CourseError, match=r"^There is no picture 'mask': choose one of pipeline, .*gather\.$"):
        pictures.show("mask")
    with pytest.raises(
        CourseError, match=r"^There is no stage 'stage9' in the pipeline: choose one of stage1_corpus, .*\.$"
    ):
        pictures.show("pipeline", here="stage9")


class TestNumbers:
    def test_pipeline_knows_the_stages(self):
        assert tuple(corpus.COURSE) == STAGES
        for here in corpus.COURSE:
            assert said(pictures.draw("pipeline", here=here)).count("you are here") == 1
        assert "you are here" not in said(pictures.draw("pipeline"))

    def test_attention(self):
        *_, words, values, weights, note = rows(pictures.draw("attention"))
        expected = torch.tensor([float(value) for value in values[1:]]).softmax(0)
        assert [f"{weight:.2f}" for weight in expected] == weights[1:]
        assert sum(round(100 * float(weight)) for weight in weights[1:]) == 100 and note[0].endswith("1.00")
        assert len(words) == 5

    def test_causal_mask(self):
        made = pictures.draw("causal_mask")
        grid = [[int(word) for word in row if word in "01"] for row in rows(made) if set("01") & set(row)]
        assert torch.equal(torch.tensor(grid), torch.ones(5, 5, dtype=int).tril())
        reads, writes = zip(*[(row[0], row[-1]) for row in rows(made) if set("01") & set(row)], strict=True)
        assert writes[:-1] == reads[1:]

    def test_padding(self):
        features = [
            {"input_ids": ids, "attention_mask": [1] * len(ids), "labels": [1]}
            for ids in ([*row[: model.LIMIT - 1], 1] if len(row) > model.LIMIT else row for row in model.BATCH)
        ]
        batch = collate(features, pad_token_id=0, decoder_start_token_id=0)
        lines = [row for row in rows(pictures.draw("padding")) if row[0].isdigit()]
        rectangle = [[int(word) for word in row if word.isdigit()] for row in lines]
        assert rectangle[:3] == list(model.BATCH)
        expected = torch.cat([batch["input_ids"], batch["attention_mask"]], dim=1)
        assert rectangle[3:] == expected.tolist()

    def test_right_shift(self):
        _, _, labels, reads, *_ = rows(pictures.draw("right_shift"))
        vocabulary = {"<pad>": 0, "-100": IGNORE} | {word: 10 + n for n, word in enumerate([*model.TITLE, model.END])}
        shifted = shift_right(torch.tensor([[vocabulary[word] for word in labels]]), 0, 0)
        assert [vocabulary[word] for word in reads] == shifted[0].tolist()

    def test_clipping(self):
        precision = rouge_n(scores.PARROT, scores.TITLE).precision
        assert f"with clipping: 1 of 4, precision {precision:.2f}" in said(pictures.draw("clipping"))

    def test_lcs(self):
        score, pairs = (
            rouge_l(scores.PREDICTION, scores.REFERENCE),
            scores.aligned(scores.PREDICTION.split(), scores.REFERENCE.split()),
        )
        assert len(pairs) == round(score.precision * len(scores.PREDICTION.split()))
        assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))
        made = pictures.draw("lcs")
        assert f"precision 3 of 6 = {score.precision:.2f}, recall 3 of 7 = {score.recall:.2f}" in said(made)
        shared = rouge_n(scores.PREDICTION, scores.REFERENCE)
        assert f"share {round(shared.recall * 7)} words" in made.alt

    def test_union_lcs(self):
        recall = rouge_lsum("\n".join(scores.LINES), scores.UNION).recall
        assert f"4 of 5 words covered: recall {recall:.2f}" in said(pictures.draw("union_lcs"))
        assert recall == pytest.approx(4 / 5)

    def test_bootstrap(self):
        made, found, means = pictures.draw("bootstrap"), mean_interval(scores.SCORES), resampled_means(scores.SCORES)
        draws = [row for row in rows(made) if row[0].startswith(("scores", "draw"))]
        assert draws[0][1:-1] == [str(score) for score in scores.SCORES]
        for row, mean in zip(draws, [found["mean"], *means], strict=False):
            values = [int(value) for value in row[1:-1]]
            assert set(values) <= set(scores.SCORES) and sum(values) / len(values) == pytest.approx(mean)
            assert row[-1] == f"mean {mean:.1f}"
        assert [f"{found['low']:.1f}", f"{found['high']:.1f}"] in rows(made)

    def test_accumulation(self):
        short, long = (torch.tensor(piece, dtype=float) for piece in processes.PIECES)
        wrong, right = (short.mean() + long.mean()) / 2, torch.cat([short, long]).mean()
        text = said(pictures.draw("accumulation"))
        assert f"/ 2 = {wrong:.1f}" in text and f"/ 10 = {right:.1f}" in text
        for weight in (1 / 2 / 2, 1 / 2 / 8, 1 / 10):
            assert f"{weight:g} each" in text

    def test_two_processes(self):
        mean = torch.tensor(processes.GRADIENTS).mean()
        assert f"mean gradient {mean:.1f}" in said(pictures.draw("two_processes"))

    def test_gather(self):
        sampler = BatchSampler(SequentialSampler(range(processes.ROWS)), processes.BATCH, drop_last=False)
        reads = [list(BatchSamplerShard(sampler, num_processes=2, process_index=number)) for number in range(2)]
        found = {row[0]: row[1:] for row in rows(pictures.draw("gather")) if row[0].startswith("process")}
        for number in range(2):
            assert [int(word) for word in found[f"process {number}"]] == [*reads[number][0], *reads[number][1]]
        gathered = [row for step in zip(*reads, strict=True) for batch in step for row in batch]
        strips = [[int(word) for word in row] for row in rows(pictures.draw("gather")) if all(w.isdigit() for w in row)]
        assert strips == [gathered, list(range(processes.ROWS))]
        assert f"gather: {len(gathered)} rows" in said(pictures.draw("gather"))
