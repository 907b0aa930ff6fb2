"""The report and the other files of a run: true, escaped, self-contained, readable everywhere."""

import csv
import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from common.html import fill_template, inline_svg
from common.plots import new_figure, save_figure
from data.audit.report import AuditReport, DuplicatePair, Thumbnail
from data.audit.shortcuts import Shortcut
from data.summary import ClassCount
from tests.helpers import ROOT, Run
from train.evaluate.metrics import Scores, score
from train.evaluate.results import CrossValidation, Results
from train.models import model_file
from train.report.caveats import calibration_sentence, cautions, quotation, supports
from train.report.gallery import (
    Answered,
    confusions,
    gallery_of,
    overlay,
    typical,
)
from train.report.page import TABLE_SCRIPT, write_report
from train.report.run_report import EvaluationProtocol, RunReport

pytestmark = pytest.mark.slow  # whole commands, or as long as these

EVIL = '<script>alert("x")</script>'


def test_metrics_equal_scikit_learns_on_the_predictions_file(trained: Run) -> None:
    metrics = json.loads((trained.folder / "metrics.json").read_text())["test"]
    with (trained.folder / "predictions.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["split"] == "test"]
    truth, predicted = [r["label"] for r in rows], [r["predicted"] for r in rows]
    classes = sorted(set(truth))
    assert metrics["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert metrics["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    counts = confusion_matrix(truth, predicted, labels=classes)
    assert metrics["confusion_matrix"] == counts.tolist()
    likeliest = [max(classes, key=lambda name, row=row: float(row[name])) for row in rows]
    assert likeliest == predicted


def test_the_model_card_states_the_same_facts(trained: Run) -> None:
    card = (trained.folder / "model_card.md").read_text(encoding="utf-8")
    metrics = json.loads((trained.folder / "metrics.json").read_text())
    main = metrics["test_recordings"]
    assert f"**{100 * main['accuracy']:.1f} %** of {main['n']} recordings" in card
    for name, row in metrics["test"]["per_class"].items():
        assert re.search(rf"\| {name} \| 16 \| 8 \| {row['n']} \| {row['recall']:.2f} \|", card)
    assert "pictures of 96 x 48 pixels, seen at 64 x 64" in card


def test_the_head_of_the_card_is_what_the_hub_reads(trained: Run) -> None:
    card = (trained.folder / "model_card.md").read_text(encoding="utf-8")
    _, head, body = card.split("---\n", 2)
    facts = yaml.safe_load(head)
    assert facts["pipeline_tag"] == "image-classification"  # drawn by nobody knows what
    [model] = facts["model-index"]
    [result] = model["results"]
    main = json.loads((trained.folder / "metrics.json").read_text())["test_recordings"]
    values = {one["type"]: one["value"] for one in result["metrics"]}
    assert values["accuracy"] == pytest.approx(main["accuracy"], abs=1e-4)
    assert values["f1"] == pytest.approx(main["macro_f1"], abs=1e-4)
    assert result["dataset"]["name"] == "music"
    assert body.lstrip().startswith("# ")
    knows_others = model_file.load(trained.folder / "model.pth")[1].novelty is not None
    assert ('"Unsure"' in body) == knows_others
    assert ("It is always one of them" in body) != knows_others


def answers(n: int = 40, classes: tuple[str, ...] = ("a", "b", EVIL)) -> Answered:
    """Random answers on random pictures, two thirds of them right."""
    rng = np.random.default_rng(0)
    labels = rng.integers(len(classes), size=n)
    logits = rng.normal(size=(n, len(classes)))
    logits[np.arange(n), labels] += 1.2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    pictures = rng.integers(0, 256, (n, 32, 48, 3), dtype=np.uint8)
    paths = np.array([f"{EVIL}/{i}.png" for i in range(n)])
    return Answered(
        classes=classes,
        paths=paths,
        labels=labels,
        probabilities=probabilities,
        embedded=np.arange(n),
        embeddings=rng.normal(size=(n, 8)),
        pictures=lambda at: pictures[at],
        heat=lambda at, _: np.zeros((len(at), 4, 6)),
        shape=(48, 32),
    )


def scores_of(about: Answered) -> Scores:
    """The test's figures, with half of its groups twins."""
    groups = np.arange(len(about.labels)) // 2
    return score(about.probabilities, about.labels, groups, classes=about.classes, majority=0)


def report_of(about: Answered) -> RunReport:
    """The report of a run whose every name is an attack."""
    twin = Thumbnail(EVIL, "data:,")
    return RunReport(
        title=EVIL,
        setting=EVIL,
        results=Results(test=scores_of(about), temperature=1.1, domain_shift=[EVIL], seconds=3.0),
        protocol=EvaluationProtocol(),
        counts=[ClassCount(EVIL, 40, 20, 40), ClassCount("all", 40, 20, 40)],
        notes=[EVIL],
        audit=AuditReport(
            notes=[EVIL],
            passed=[EVIL],
            colour_map=EVIL,
            n_pictures=40,
            n_exact=1,
            n_near=0,
            n_similar=0,
            n_distrusted=1,
            chance=0.3,
            cues=[Shortcut(EVIL, 0.5, {})],
            duplicates=[DuplicatePair((twin, twin), 1.0, "exact", in_two_classes=True)],
            distrusted=[DuplicatePair((twin, twin), 0.6, "similar", in_two_classes=True)],
            label_issues=[],
        ),
        data=EVIL,
        command=EVIL,
        options=EVIL,
    )


def test_names_of_classes_and_files_are_escaped(tmp_path: Path) -> None:
    about = answers()
    write_report(tmp_path, report_of(about), [], about)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    ours = f'<script type="module">{TABLE_SCRIPT.read_text(encoding="utf-8")}'
    assert page.count(ours) == 1
    assert "<script" not in page.replace(ours, "")
    assert page.count("&lt;script&gt;") > 20


def test_a_large_report_stays_under_5_mb(tmp_path: Path) -> None:
    """40 classes of noise, the worst that a picture can be for JPEG."""
    about = answers(300, tuple(f"class {i}" for i in range(40)))
    counts = [ClassCount(name, 50, 25, 50) for name in (*about.classes, "all")]
    write_report(tmp_path, dataclasses.replace(report_of(about), counts=counts), [], about)
    assert (tmp_path / "report.html").stat().st_size < 5_000_000


def test_the_examples_shown_are_the_ones_they_are_said_to_be() -> None:
    about = answers(200)
    counts = confusion_matrix(about.labels, about.predicted)
    np.fill_diagonal(counts, 0)
    ranked = confusions(about)
    assert len(ranked[0][2]) == counts.max()
    assert sum(len(positions) for _, _, positions in ranked) == counts.sum()
    for truth, predicted, positions in ranked:
        assert (about.labels[positions] == truth).all()
        assert (about.predicted[positions] == predicted).all()
        assert (np.diff(about.confidence[positions]) <= 0).all()
    wrong = about.labels != about.predicted
    for label, i in enumerate(typical(about, 3)):
        right = (about.labels == label) & ~wrong
        assert about.confidence[i] == about.confidence[right].max() and right[i]
    gallery = gallery_of(about, trusted=True)
    worst = ranked[0][2][0]
    first = gallery.confusions[0].tiles[0]
    assert first.path == about.paths[worst]
    assert first.top[0][0] == about.classes[about.predicted[worst]]
    assert first.top[0][1] == pytest.approx(about.confidence[worst])


def test_each_mistake_is_shown_once_and_counted() -> None:
    about = answers(200)
    gallery = gallery_of(about, trusted=True)
    shown = [tile for confusion in gallery.confusions for tile in confusion.tiles]
    assert len({tile.path for tile in shown}) == len(shown)
    wrong = about.labels != about.predicted
    assert len(shown) + gallery.n_more == wrong.sum()
    sure = {path for path, p in zip(about.paths, about.confidence, strict=True) if p >= 0.9}
    assert {tile.path for tile in shown if tile.second_look} == sure & {t.path for t in shown}
    unsure = gallery_of(about, trusted=False)
    assert not any(t.second_look for confusion in unsure.confusions for t in confusion.tiles)


def test_a_perfect_model_has_a_report_too(tmp_path: Path) -> None:
    about = answers()
    sure = np.eye(3)[about.labels] * 0.97 + 0.01
    about = dataclasses.replace(about, probabilities=sure)
    write_report(tmp_path, report_of(about), [], about)
    assert "No picture was classified wrongly" in (tmp_path / "report.html").read_text()


def test_heat_colours_only_where_it_is() -> None:
    picture = np.full((10, 20, 3), 100, np.uint8)
    heat = np.zeros((10, 20))
    heat[:, :5] = 1
    mixed = overlay(picture, heat).astype(int)
    assert (np.ptp(mixed[:, 12:], axis=2) == 0).all()
    assert (mixed[:, :4, 1] - mixed[:, :4, 0] > 100).all()


def test_cautions_follow_from_the_figures() -> None:
    report = report_of(answers())
    scores = report.results.test
    results = Results(test=scores, temperature=1.0, cross_validation=CrossValidation([0.5], [1.0]))
    leaky, honest = EvaluationProtocol(group="none"), EvaluationProtocol()

    def supported(protocol: EvaluationProtocol, n_duplicates: int) -> str:
        audit = report.audit and dataclasses.replace(report.audit, n_exact=n_duplicates)
        return " ".join(supports(dataclasses.replace(report, protocol=protocol, audit=audit)))

    assert any("--group none" in line for line in cautions(results, leaky))
    assert not any("--group none" in line for line in cautions(results, honest))
    assert "two sides" in supported(honest, 0)
    assert "two sides" not in supported(leaky, 0)
    assert "14 pairs of duplicate" in supported(honest, 14)
    assert "14 pairs" not in supported(EvaluationProtocol(duplicates="ignore"), 14)
    assert not any("better than always" in line for line in cautions(results, honest))
    bad = dataclasses.replace(scores, accuracy_interval_95=(0.1, 0.6), majority_baseline=0.3)
    doubts = " ".join(cautions(Results(test=bad, temperature=1.0), honest))
    assert "not shown to be better" in doubts and "anywhere from 10 to 60 %" in doubts


def test_right_answers_of_uneven_classes_are_not_called_chance() -> None:
    """200 pictures of one class, 12 of another, all right: "no better than chance" was said."""
    labels = np.repeat([0, 1], [12, 200])
    groups = np.r_[np.arange(12) // 2, 100 + np.arange(200) // 20]
    sure = np.eye(2)[labels] * 0.98 + 0.01
    scores = score(sure, labels, groups, classes=("few", "many"), majority=1)
    [line] = Results(test=scores, temperature=1.0).doubts()
    assert line.startswith("not shown to beat chance: always answering many may do as well")
    assert "94% of the pictures, so that macro F1 (1.000) says more" in line
    wrong = score(sure[:, ::-1], labels, groups, classes=("few", "many"), majority=1)
    [line] = Results(test=wrong, temperature=1.0).doubts()
    assert line.startswith("no better than chance")


def test_a_class_may_be_named_in_any_script(tmp_path: Path) -> None:
    """A guitar is in no font of matplotlib's, which said so on the terminal, per figure."""
    figure, axes = new_figure(2, 2)
    axes.set_title("🎸 日本")
    save_figure(figure, tmp_path / "guitar.png")
    assert "🎸" in inline_svg(figure, "guitar", "a guitar")


def over_sure(n: int, confidence: float, accuracy: float) -> Scores:
    """The scores of n answers of one confidence, of which that share is right."""
    labels = np.zeros(n, dtype=int)
    wrong = np.arange(n) >= round(accuracy * n)
    probabilities = np.full((n, 2), 1 - confidence)
    probabilities[np.arange(n), wrong.astype(int)] = confidence
    return score(probabilities, labels, np.arange(n), classes=("a", "b"), majority=0)


@pytest.mark.parametrize(
    ("n", "confidence", "accuracy", "said"),
    [
        (30, 0.75, 0.7, "Too few examples to tell"),
        (2000, 0.75, 0.75, "Probabilities mean what they say"),
        (2000, 0.75, 0.6, "Probabilities are off by 15 points"),
        (30, 0.95, 0.6, "Probabilities are off by 35 points"),
    ],
)
def test_calibration_is_judged_against_chance(
    n: int, confidence: float, accuracy: float, said: str
) -> None:
    assert calibration_sentence(over_sure(n, confidence, accuracy)).startswith(said)


def test_the_sentence_to_quote_is_of_all_that_was_held_out() -> None:
    report = report_of(answers())
    few, all_of_it = over_sure(20, 0.9, 0.95), over_sure(100, 0.9, 0.86)
    results = Results(
        test=few,
        temperature=1.0,
        cross_validation=CrossValidation([0.8, 0.9], [1.0, 0.9]),
        validation=over_sure(80, 0.9, 0.84),
        held_out=all_of_it,
    )
    assert not results.parts_differ
    quoted = quotation(dataclasses.replace(report, results=results))
    assert "86.0 % of 100 pictures" in quoted and "2 folds and a test part" in quoted
    assert "test and cross-validation differ" not in " ".join(cautions(results, report.protocol))
    easy = dataclasses.replace(results, validation=over_sure(80, 0.9, 0.4))
    assert any("differ by more than chance" in s for s in cautions(easy, report.protocol))


def test_a_thousand_classes_make_a_report_of_bounded_size(tmp_path: Path) -> None:
    about = answers(1500, tuple(f"class {i}" for i in range(1000)))
    counts = [ClassCount(name, 3, 3, 1) for name in (*about.classes, "all")]
    report = dataclasses.replace(report_of(about), counts=counts)
    write_report(tmp_path, report, [], about)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert len(page) < 5_000_000 and "of 1000 classes with the lowest recall" in page
    with Image.open(tmp_path / "confusion_matrix.png") as image:
        assert max(image.size) < 3000


def test_results_survive_their_file() -> None:
    scores = scores_of(answers(60, tuple("abcdefg")))
    results = Results(
        test=scores,
        temperature=1.3,
        test_recordings=scores,
        cross_validation=CrossValidation([0.5, 0.7], [1.0, 0.9]),
        validation=scores,
        held_out=scores,
        final="fold 1's",
        seconds=4.0,
    )
    plain = json.loads(json.dumps(results.to_dict()))
    assert Results.from_dict(plain) == results


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's chromium, driven by playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="pip install playwright for this test")
    chromium = shutil.which("chromium")
    if not chromium:
        pytest.skip("no chromium: apt-get install chromium for this test")
    with api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_no_serious_barrier(trained: Run, browser: Any, scheme: str) -> None:
    """axe-core's rules: contrast, names of figures, headings, tables that the keyboard reaches."""
    axe = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not axe.is_file():
        pytest.skip("no axe-core: npm install axe-core for this test")
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto((trained.folder / "report.html").resolve().as_uri())
    page.add_script_tag(path=str(axe))
    found = page.evaluate("axe.run()")["violations"]
    grave = [one["id"] for one in found if one["impact"] in ("serious", "critical")]
    assert grave == []
    page.close()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_opens_without_network_errors_or_sideways_scrolling(
    trained: Run, browser: Any, width: int, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    address = (trained.folder / "report.html").resolve().as_uri()
    page.goto(address)
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    matrix = page.get_by_role("region", name="confusion matrix by").first
    names = matrix.locator("tbody td:first-child")
    known = names.all_inner_texts()
    for expected in (sorted(known), sorted(known, reverse=True)):
        matrix.get_by_role("button", name="true").click()
        assert names.all_inner_texts() == expected
    broken = "[...document.images].filter(i => !i.complete || !i.naturalWidth).length"
    assert page.evaluate(broken) == 0
    box = page.locator(".answer").bounding_box()
    assert box["y"] + box["height"] < 800  # the answer is what one sees first
    lightness = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(lightness) > 200) == (scheme == "light")
    page.close()


def test_one_fold_has_no_spread() -> None:
    """ "± 0.000 over 1 folds" would say that nothing varies."""
    scores = report_of(answers()).results.test
    results = Results(test=scores, temperature=1.0, cross_validation=CrossValidation([0.5], [1.0]))
    assert results.lines()[-1].startswith("validation accuracy 0.500 on one fold; the model is ")


def test_a_name_in_markdown_is_no_html_and_no_link(tmp_path: Path) -> None:
    """Classes can be strangers' genres, and pages that show a model card show its HTML."""
    template = tmp_path / "x.md.jinja"
    template.write_text("{{ name }} | {{ name | cell }} | `{{ name | code }}`\n{{ 5 }}")
    name = "<img src=x onerror=y> [a](javascript:b) `|`"
    plain, cell, code, number = re.split(r" \| |\n", fill_template(template, name=name))
    assert plain == "&lt;img src=x onerror=y> [a]\\(javascript:b) `|`"
    assert cell == plain.replace("|", "\\|") and number == "5"
    assert code == "`<img src=x onerror=y> [a](javascript:b) '|'`"
