"""What a reader may take from a run's figures, and what not, said from the figures themselves."""

from train.evaluate.metrics import Scores
from train.evaluate.results import Results
from train.models.facts import ModelFacts
from train.report.run_report import EvaluationProtocol, RunReport

TELLING = 0.1  # a calibration error that chance explains is news only where chance is below this
MAX_NAMED = 5


def supports(report: RunReport) -> list[str]:
    """Sentences on what was done so that the accuracy is an honest one."""
    protocol, results = report.protocol, report.results
    lines = ["The model and its temperature were not changed by these pictures."]
    if protocol.trained == "on other groups":
        lines = [
            "The test part was used once, by the model in model.pth, after everything was chosen."
        ]
    if protocol.split:
        lines.append(f"The test part was given by {protocol.split}.")
    if protocol.group != "none" and protocol.trained == "on other groups":
        lines.append(
            "No group (a recording, or an artist where known) is on two sides: see split.csv."
        )
        if report.n_duplicates and protocol.duplicates != "ignore" and not protocol.split:
            n = report.n_duplicates
            pairs = (
                "1 pair of duplicate pictures shares"
                if n == 1
                else f"{n} pairs of duplicate pictures share"
            )
            lines.append(f"{pairs} a side as well.")
    if results.validation and not results.parts_differ:
        lines.append(
            "Test and cross-validation agree: they differ by no more than chance explains for so "
            "few groups."
        )
    calibrated = results.estimate.calibration_error_by_chance[1] < TELLING
    if calibrated and not results.estimate.off_calibration:
        lines.append(calibration_sentence(results.estimate))
    return lines


def calibration_sentence(scores: Scores) -> str:
    """How far the probabilities are off, beside what chance alone gives with so few examples."""
    error = 100 * scores.expected_calibration_error
    mean, limit = (100 * figure for figure in scores.calibration_error_by_chance)
    chance = (
        f"a perfectly calibrated model would be off by {mean:.0f} in such a test, and in 98 of 100 "
        f"by up to {limit:.0f}"
    )
    if scores.off_calibration:
        return f"Probabilities are off by {error:.0f} points on average: {chance}."
    if limit < 100 * TELLING:
        return f"Probabilities mean what they say: off by {error:.0f} points; {chance}."
    return (
        f"Too few examples to tell whether probabilities mean what they say: off by {error:.0f} "
        f"points; {chance}."
    )


def about_model(facts: ModelFacts) -> str:
    """What the model is and how good it is, in two sentences."""
    said = f"{facts.backbone} on pictures of {facts.image.width}x{facts.image.height} pixels."
    if not facts.metrics:
        return said
    results = Results.from_dict(facts.metrics)
    scores = results.estimate
    if scores.several:
        return f"{said} It gives a song all labels that it hears: {in_several(results)}."
    low, high = scores.accuracy_interval_95
    return (
        f"{said} It was right for {scores.accuracy:.0%} (95 % interval {low:.0%} to {high:.0%}) of "
        f"{scores.n} {results.main_unit} that it had not been trained on; always answering "
        f"{scores.majority_class} would be right for {scores.majority_baseline:.0%}."
    )


def cautions(results: Results, protocol: EvaluationProtocol) -> list[str]:
    """Sentences on what the accuracy does not tell."""
    lines = _of_protocol(protocol) + _of_figures(results)
    if results.cross_validation:
        lines.append(
            "Cross-validation is a little optimistic, since each fold chose its best epoch by the "
            "examples that measure it, and a little pessimistic, since it trained on less."
        )
    if protocol.trained == "on other groups":
        lines.append(
            "New recordings from elsewhere, or drawn in another way, may do worse: "
            "python -m train.evaluate tells how much."
        )
    return lines


def _of_protocol(protocol: EvaluationProtocol) -> list[str]:
    lines = []
    if protocol.group == "none":
        lines.append(
            "--group none: clips of one recording may be on both sides, so this accuracy says "
            "little about new recordings. It is for comparing with papers that split this way."
        )
    if protocol.trained == "on these pictures":
        lines.append(
            "The model was trained on this very folder: this is not an accuracy on new pictures."
        )
    if protocol.trained == "unknown":
        lines.append(
            "Whether the model was trained on some of these recordings cannot be seen here."
        )
    return lines


def _of_figures(results: Results) -> list[str]:
    scores = results.estimate
    name, _, (low, high), baseline = scores.merit
    lines = []
    if low <= baseline:
        other = "labels in any order" if scores.several else "always giving the same answer"
        lines.append(
            f"It is not shown to be better than {other}: the interval reaches down to that."
        )
    if high - low > 0.2:
        lines.append(
            f"Only {scores.n_groups} groups were tested: the true {name} may be anywhere from "
            f"{100 * low:.0f} to {100 * high:.0f} %."
        )
    if scores.several:
        lines.append(
            "Thresholds were chosen on what the folds held out: F1 there is a little optimistic; "
            "that of the test is not."
        )
    if results.parts_differ:
        lines.append(
            "Test and cross-validation differ by more than chance explains: the test part is "
            "easier or harder than the rest."
        )
    if scores.off_calibration or scores.calibration_error_by_chance[1] >= TELLING:
        lines.append(calibration_sentence(scores))
    untested = [name for name, row in results.test.per_class.items() if not row.n]
    if untested:
        more = f" and {len(untested) - MAX_NAMED} more" if len(untested) > MAX_NAMED else ""
        named = ", ".join(untested[:MAX_NAMED])
        lines.append(f"No test {results.unit}s of {named}{more}: nothing is known about them.")
    return lines


def quotation(report: RunReport) -> str:
    """One sentence to paste: the accuracy with its interval, on what, and how it was measured."""
    results, protocol = report.results, report.protocol
    scores = results.estimate
    low, high = (100 * end for end in scores.accuracy_interval_95)
    network = report.setting.split(",")[0]
    said = (
        f"{network} classified {100 * scores.accuracy:.1f} % of {scores.n} "
        f"{results.main_unit} in {len(scores.per_class)} classes correctly (95 % interval "
        f"{low:.0f} to {high:.0f} %, {scores.n_groups} groups; always answering "
        f"{scores.majority_class} would have {100 * scores.majority_baseline:.0f} %)"
    )
    if scores.several:
        said = f"{network} gave labels of {len(scores.per_class)} classes: {in_several(results)}"
    if results.cross_validation and results.validation:
        by = "split by picture" if protocol.group == "none" else "split by group"
        n_folds = len(results.cross_validation.accuracy)
        said += (
            f", each by a model that was not trained on it ({n_folds} folds and a test part, {by})"
        )
    return said + "."


def in_several(results: Results) -> str:
    """How good a model of several labels is, in a clause."""
    scores = results.estimate
    assert scores.several is not None
    _, value, (low, high), baseline = scores.merit
    return (
        f"mean average precision {value:.2f} (95 % interval {low:.2f} to {high:.2f}; any order "
        f"would have {baseline:.2f}), macro F1 {scores.macro_f1:.2f} and micro F1 "
        f"{scores.several.micro_f1:.2f} on {scores.n} {results.main_unit} of {scores.n_groups} "
        f"groups; all labels right and no other for {scores.accuracy:.0%}"
    )
