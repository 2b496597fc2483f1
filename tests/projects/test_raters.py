"""Rating sheets that hide what they must, and kappa against the literature and two other implementations."""

import math
import random

import numpy as np
import pandas as pd
import pytest
from nltk.metrics.agreement import AnnotationTask
from rich.console import Console

from resumen.errors import CourseError
from resumen.projects.capstone import raters
from resumen.projects.capstone.raters import SCALE, kappa, kappa_interval


def expanded(table):
    """Return the two lists of ratings that a table first × second counts."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return [i for i, _ in pairs], [j for _, j in pairs]


class TestKappa:
    def test_cohen_1968(self):
        """The worked table of Cohen (1968), https://doi.org/10.1037/h0026256, 200 patients: unweighted κ = .492, by hand
        (.70 - .41) / (1 - .41)."""
        first, second = expanded([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
        assert kappa(first, second, [0, 1, 2]) == pytest.approx((0.70 - 0.41) / (1 - 0.41), abs=1e-12)
        assert round(kappa(first, second, [0, 1, 2]), 3) == 0.492

    @pytest.mark.parametrize(
        ("weights", "expected"),
        [(None, 0.32432432432432434), ("linear", 0.4736842105263158), ("quadratic", 0.6190476190476191)],
    )
    def test_scikit_learn(self, weights, expected):
        """cohen_kappa_score of scikit-learn 1.9.1 on the same ratings."""
        first, second = [1, 2, 3, 4, 4, 2, 1, 3, 3, 2], [1, 3, 3, 4, 2, 2, 2, 3, 4, 1]
        assert kappa(first, second, SCALE, weights) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("seed", range(5))
    def test_nltk(self, seed):
        """Unweighted κ by a well-kept library. (NLTK's weighted one reads its distances otherwise.)"""
        rng = random.Random(seed)
        first = rng.choices(SCALE, k=30)
        second = [rng.choice([score, rng.choice(SCALE)]) for score in first]
        data = [
            (rater, item, score) for rater, scores in (("a", first), ("b", second)) for item, score in enumerate(scores)
        ]
        assert kappa(first, second, SCALE) == pytest.approx(
            AnnotationTask(data=data).kappa_pairwise("a", "b"), abs=1e-12
        )

    @pytest.mark.parametrize(("weights", "power"), [("linear", 1), ("quadratic", 2)])
    def test_all_pairs(self, weights, power):
        """What chance gives is the mean over all pairs of a rating by the one and a rating by the other."""
        rng = random.Random(1)
        first = rng.choices(SCALE, k=30)
        second = [rng.choice([score, rng.choice(SCALE)]) for score in first]
        observed = np.mean([abs(a - b) ** power for a, b in zip(first, second, strict=True)])
        chance = np.mean([abs(a - b) ** power for a in first for b in second])
        assert kappa(first, second, SCALE, weights) == pytest.approx(1 - observed / chance, abs=1e-12)

    def test_undefined(self):
        assert math.isnan(kappa([3, 3], [3, 3], SCALE, "quadratic"))

    @pytest.mark.parametrize(("first", "second"), [([], []), ([1], [1, 2]), ([5], [1])])
    def test_mistakes(self, first, second):
        with pytest.raises(ValueError):
            kappa(first, second, SCALE)


class TestInterval:
    def test_it_is_the_bootstrap_of_items(self):
        rng = random.Random(3)
        first = rng.choices(SCALE, k=40)
        second = [rng.choice([score, rng.choice(SCALE)]) for score in first]
        items = [f"i{number // 2}" for number in range(40)]
        got = kappa_interval(first, second, items, SCALE, "quadratic", n_resamples=200, seed=7)
        names = sorted(set(items))
        draws = []
        for picks in np.random.default_rng(7).integers(0, len(names), size=(200, len(names))):
            rows = [row for pick in picks for row in range(40) if items[row] == names[pick]]
            draws.append(kappa([first[row] for row in rows], [second[row] for row in rows], SCALE, "quadratic"))
        low, high = np.percentile(draws, [2.5, 97.5])
        assert got == pytest.approx({"kappa": kappa(first, second, SCALE, "quadratic"), "low": low, "high": high})
        assert low < got["kappa"] < high

    def test_twice_the_outputs_of_an_item_are_not_twice_the_evidence(self):
        first, second = [1, 2, 3, 4, 4, 2] * 5, [1, 3, 3, 4, 2, 2] * 5
        items = list(range(30))
        once = kappa_interval(first, second, items, SCALE, "quadratic")
        twice = kappa_interval(first * 2, second * 2, items * 2, SCALE, "quadratic")
        assert twice == pytest.approx(once)


@pytest.fixture
def items():
    return pd.DataFrame(
        {
            "id": [f"x{number}" for number in range(60)],
            "language": ["en", "es"] * 30,
            "source": [f"Un texto, número {number}." for number in range(60)],
        }
    )


@pytest.fixture
def outputs():
    return {name: [f"{name[-1]} {number}" for number in range(60)] for name in ("system_a", "system_b")}


@pytest.fixture
def kit(items, outputs, tmp_path):
    raters.write_kit(tmp_path, items, outputs)
    return tmp_path


def fill(path, score):
    sheet = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in ("score_1", "score_2"):
        sheet[column] = [score(text) for text in sheet[column.replace("score", "output")]]
    sheet.to_csv(path, index=False)


class TestSheets:
    def test_blind(self, items, outputs):
        sheet, key = raters.rating_sheet(items, outputs, "a")
        assert "system" not in " ".join(map(str, sheet.columns)) + sheet.drop(columns="source").to_string()
        for row, names in zip(sheet.to_dict("records"), key.to_dict("records"), strict=True):
            place = int(names["id"][1:])
            assert row["source"] == items.loc[place, "source"]
            for number in (1, 2):
                assert row[f"output_{number}"] == outputs[names[f"system_{number}"]][place]
        assert 15 < (key["system_1"] == "system_a").sum() < 45
        assert sheet["item"].to_list() == list(range(1, 61)) and key["id"].to_list() != items["id"].to_list()

    def test_every_rater_and_seed_has_an_order_of_its_own(self, items, outputs):
        orders = [raters.rating_sheet(items, outputs, rater, seed)[1].to_csv() for rater in "ab" for seed in (1, 2)]
        assert len(set(orders)) == 4
        assert raters.rating_sheet(items, outputs, "a", 1)[1].to_csv() == orders[0]

    def test_items_are_drawn_evenly(self):
        languages = ["en"] * 300 + ["es"] * 40 + ["ca"] * 5
        drawn = raters.draw_items(languages, 50)
        assert len(set(drawn)) == 50
        counts = {tag: sum(languages[index] == tag for index in drawn) for tag in ("en", "es", "ca")}
        assert counts["ca"] == 5 and abs(counts["en"] - counts["es"]) <= 1
        assert raters.draw_items(languages, 50) == drawn != raters.draw_items(languages, 50, seed=1)
        with pytest.raises(CourseError, match="3 examples, but 50"):
            raters.draw_items(["en"] * 3)

    def test_a_kit(self, kit):
        assert {path.name for path in kit.iterdir()} == {
            "sheet_a.csv",
            "sheet_b.csv",
            "key.csv",
            "instructions_en.md",
            "instructions_es.md",
        }
        assert not raters.are_full(kit)
        assert raters.has_own_sheets(kit)

    def test_sheets_are_not_overwritten(self, kit, items, outputs):
        fill(kit / "sheet_a.csv", lambda text: "3")
        before = (kit / "sheet_a.csv").read_bytes()
        with pytest.raises(CourseError, match="not overwritten"):
            raters.write_kit(kit, items, outputs, seed=9)
        assert (kit / "sheet_a.csv").read_bytes() == before

    def test_ratings_find_their_systems(self, kit):
        fill(kit / "sheet_a.csv", lambda text: "4" if text.startswith("b") else "2")
        fill(kit / "sheet_b.csv", lambda text: "3" if text.startswith("b") else "1")
        ratings = raters.read_ratings(kit)
        assert len(ratings) == 2 * 2 * 60
        assert raters.mean_scores(ratings)["all"] == {"system_a": 1.5, "system_b": 3.5}
        table = raters.agreement(ratings)
        assert list(table) == ["all", "en", "es"] and [row["n"] for row in table.values()] == [120, 60, 60]
        assert table["all"]["kappa"] == pytest.approx(kappa([4, 2], [3, 1], SCALE, "quadratic"))

    def test_a_spreadsheet_in_spanish(self, kit):
        fill(kit / "sheet_a.csv", lambda text: "4")
        fill(kit / "sheet_b.csv", lambda text: "4")
        before = raters.read_ratings(kit)
        sheet = pd.read_csv(kit / "sheet_a.csv", dtype=str, keep_default_na=False)
        sheet.sample(frac=1, random_state=0).to_csv(kit / "sheet_a.csv", index=False, sep=";", encoding="utf-8-sig")
        after = raters.read_ratings(kit)
        order = ["rater", "id", "system"]
        assert after.sort_values(order).to_dict("list") == before.sort_values(order).to_dict("list")

    @pytest.mark.parametrize(
        ("separator", "encoding"),
        [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")],
        ids=["comma", "Excel", "Unicode text"],
    )
    @pytest.mark.parametrize("three", ["3.0", "3,0", " 3 "])
    def test_what_spreadsheets_make_of_numbers(self, kit, separator, encoding, three):
        for rater in raters.RATERS:
            fill(kit / f"sheet_{rater}.csv", lambda text: "3")
        before = raters.read_ratings(kit)
        sheet = pd.read_csv(kit / "sheet_a.csv", dtype=str, keep_default_na=False)
        odd = sheet.assign(score_1=three, item=sheet["item"] + ".0", blank="").rename(columns={"blank": ""})
        odd.to_csv(kit / "sheet_a.csv", index=False, sep=separator, encoding=encoding)
        pd.testing.assert_frame_equal(raters.read_ratings(kit), before)

    def test_simulated_in_any_encoding(self, kit):
        sheet = pd.read_csv(kit / "sheet_b.csv", dtype=str, keep_default_na=False)
        sheet.assign(note=raters.SIMULATED).to_csv(kit / "sheet_b.csv", index=False, sep="\t", encoding="utf-16")
        assert raters.is_simulated(kit)

    @pytest.mark.parametrize(
        ("name", "change", "words"),
        [
            ("key.csv", lambda table: table.assign(id=table["id"].iloc[0]), "is rated twice by a"),
            ("key.csv", lambda table: table.assign(item="1"), "has the item 1 twice"),
            ("key.csv", lambda table: table.drop(columns=["system_1", "system_2"]), "names no system"),
            ("key.csv", lambda table: table[:0], "does not have the items of the key"),
            ("sheet_a.csv", lambda table: table.assign(item="1"), "has the item 1 twice"),
            ("sheet_a.csv", lambda table: table.assign(language="xx"), "only one of the raters rated"),
            ("sheet_a.csv", lambda table: table.drop(columns="output_2"), "lacks the column output_2"),
        ],
    )
    def test_files_that_do_not_belong_together(self, kit, name, change, words):
        for rater in raters.RATERS:
            fill(kit / f"sheet_{rater}.csv", lambda text: "3")
        change(pd.read_csv(kit / name, dtype=str, keep_default_na=False)).to_csv(kit / name, index=False)
        with pytest.raises(CourseError, match=words) as caught:
            raters.read_ratings(kit)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize("score", ["", "5", "0", "tres", "3.5"])
    def test_wrong_scores(self, kit, score):
        fill(kit / "sheet_a.csv", lambda text: "4")
        fill(kit / "sheet_b.csv", lambda text: score if text == "b 7" else "4")
        with pytest.raises(CourseError, match=r"sheet_b.csv, item \d+: score_[12] is"):
            raters.read_ratings(kit)

    def test_missing_sheet_or_row(self, kit):
        fill(kit / "sheet_a.csv", lambda text: "4")
        (kit / "sheet_b.csv").unlink()
        with pytest.raises(CourseError, match=r"sheet_b\.csv is missing"):
            raters.read_ratings(kit)
        sheet = pd.read_csv(kit / "sheet_a.csv", dtype=str, keep_default_na=False)
        sheet[1:].to_csv(kit / "sheet_a.csv", index=False)
        with pytest.raises(CourseError, match=r"sheet_a\.csv does not have the items"):
            raters.read_ratings(kit)


class TestCommand:
    @pytest.fixture(autouse=True)
    def _wide_screen(self, monkeypatch):
        monkeypatch.setattr(raters, "Console", lambda: Console(width=200))

    def test_full_sheets(self, kit, capsys):
        fill(kit / "sheet_a.csv", lambda text: "4" if text.startswith("b") else "2")
        fill(kit / "sheet_b.csv", lambda text: "3" if text.startswith("b") else "1")
        assert raters.main([str(kit)]) == 0
        out, err = capsys.readouterr()
        rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")]
        row = raters.agreement(raters.read_ratings(kit))["all"]
        agreed = f"{row['kappa']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        assert rows[0] == ["all", "120", agreed, "1.50", "3.50"]
        assert [row[:2] for row in rows[1:]] == [["en", "60"], ["es", "60"]]
        assert "mean score, system_a" in out and "SIMULATED" not in out and err == ""

    def test_one_score_throughout_leaves_kappa_undefined(self, kit, capsys):
        for rater in raters.RATERS:
            fill(kit / f"sheet_{rater}.csv", lambda text: "3")
        assert raters.main([str(kit)]) == 0
        assert capsys.readouterr().out.count("undefined") == 3

    def test_simulated_sheets_are_called_so(self, kit, capsys):
        for rater in raters.RATERS:
            path = kit / f"sheet_{rater}.csv"
            fill(path, lambda text: "4" if text.startswith("b") else "2")
            pd.read_csv(path, dtype=str).assign(note=raters.SIMULATED).to_csv(path, index=False)
        assert raters.main([str(kit)]) == 0
        title = next(line for line in capsys.readouterr().out.splitlines() if line.strip())
        assert "SIMULATED: no person rated these" in title

    def test_unfilled_sheet(self, kit, capsys):
        fill(kit / "sheet_a.csv", lambda text: "4")
        assert raters.main([str(kit)]) == 1
        out, err = capsys.readouterr()
        (line,) = err.splitlines()
        assert out == "" and "sheet_b.csv, item 1: score_1 is ''" in line and line.endswith("rate it.")

    @pytest.mark.parametrize("name", ["sheet_a.csv", "sheet_b.csv", "key.csv"])
    def test_missing_file(self, kit, capsys, name):
        for rater in raters.RATERS:
            fill(kit / f"sheet_{rater}.csv", lambda text: "3")
        (kit / name).unlink()
        assert raters.main([str(kit)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name} is missing" in line

    @pytest.mark.parametrize("name", ["sheet_a.csv", "key.csv"])
    def test_missing_column(self, kit, capsys, name):
        pd.read_csv(kit / name, dtype=str).drop(columns="item").to_csv(kit / name, index=False)
        assert raters.main([str(kit)]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{name} lacks the column item" in line

    def test_missing_folder(self, tmp_path, capsys):
        assert raters.main([str(tmp_path / "nowhere")]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("raters: ") and "nowhere is not a folder" in line
