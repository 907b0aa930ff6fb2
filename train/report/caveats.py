"""What a reader may take from a run's figures, and what not, said from the figures themselves."""

from train.evaluate.metrics import Scores
from train.evaluate.results import Results
from train.report.run_report import EvaluationProtocol, RunReport


def supports(report: RunReport) -> list[str]:
    """Sentences on what was done so that the accuracy is an honest one."""
    protocol = report.protocol
    lines = ["The model and its temperature were not changed by these pictures."]
    if protocol.trained == "on other groups":
        lines = [
            "The test part was looked at once, by the model in model.pth, after everything was "
            "chosen."
        ]
    if protocol.split:
        lines.append(f"The test part was given by {protocol.split}.")
    if protocol.group != "none" and protocol.trained == "on other groups":
        lines.append(
            "No group (a recording, or an artist where known) is on two sides: see split.csv."
        )
        if report.n_duplicates and protocol.duplicates != "ignore" and not protocol.split:
            lines.append(f"{report.n_duplicates} pairs of duplicate pictures share a side as well.")
    error = report.results.test.expected_calibration_error
    if error < 0.1:
        lines.append(
            f"Probabilities mean what they say: off by {100 * error:.0f} points on average."
        )
    return lines


def cautions(results: Results, protocol: EvaluationProtocol) -> list[str]:
    """Sentences on what the accuracy does not tell."""
    lines = _of_protocol(protocol) + _of_figures(results.main)
    error = results.test.expected_calibration_error
    if error >= 0.1:
        lines.append(f"Probabilities are off by {100 * error:.0f} points on average.")
    untested = [name for name, row in results.test.per_class.items() if not row.n]
    if untested:
        lines.append(f"Nothing is known about {', '.join(untested)}: no test {results.unit}s.")
    if results.cross_validation:
        lines.append(
            "Validation figures are a little too good: each epoch was chosen by the fold that "
            "measures it."
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


def _of_figures(scores: Scores) -> list[str]:
    low, high = scores.accuracy_interval_95
    lines = []
    if low <= scores.majority_baseline:
        lines.append(
            "It is not shown to be better than always giving the same answer: the interval reaches "
            "down to that."
        )
    if high - low > 0.2:
        lines.append(
            f"Only {scores.n_groups} groups were tested: the true accuracy may be anywhere from "
            f"{100 * low:.0f} to {100 * high:.0f} %."
        )
    return lines
