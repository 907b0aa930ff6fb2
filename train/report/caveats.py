"""What a reader may take from a run's figures, and what not, said from the figures themselves."""

from typing import Any


def answer(metrics: dict[str, Any]) -> dict[str, Any]:
    """The figures that count: those by recording where there are several clips of one."""
    songs = metrics.get("test_recordings")
    return (songs or metrics["test"]) | {"unit": "recordings" if songs else f"{unit_of(metrics)}s"}


def unit_of(metrics: dict[str, Any]) -> str:
    """What a tested example is: "picture", or "row" of a table."""
    return str(metrics.get("unit", "picture"))


def to_trust(metrics: dict[str, Any], config: dict[str, Any], n_duplicates: int) -> list[str]:
    """Sentences on what was done so that the answer is an honest one."""
    lines = ["The model and its temperature were not changed by these pictures."]
    if not config.get("evaluated"):
        lines = [
            "The test part was looked at once, by the model in model.pth, after everything was "
            "chosen."
        ]
    if config.get("split"):
        lines.append(f"Who is tested was decided by {config['split']}, not by us.")
    if config.get("group") != "none" and not config.get("evaluated"):
        lines.append(
            "No group (a recording, or an artist where known) is on two sides: see split.csv."
        )
        if n_duplicates and config.get("duplicates") != "ignore" and not config.get("split"):
            lines.append(f"{n_duplicates} pairs of duplicate pictures share a side as well.")
    error = metrics["test"]["expected_calibration_error"]
    if error < 0.1:
        lines.append(
            f"Probabilities mean what they say: off by {100 * error:.0f} points on average."
        )
    return lines


def to_doubt(metrics: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Sentences on what the answer does not tell."""
    lines = _doubts_of_protocol(config) + _doubts_of_figures(metrics)
    if "cross_validation" in metrics:
        lines.append(
            "Validation figures are a little too good: each epoch was chosen by the fold that "
            "measures it."
        )
    if not config.get("evaluated"):
        lines.append(
            "New recordings from elsewhere, or drawn in another way, may do worse: "
            "python -m train.evaluate tells how much."
        )
    return lines


def _doubts_of_protocol(config: dict[str, Any]) -> list[str]:
    lines = []
    if config.get("group") == "none":
        lines.append(
            "--group none: clips of one recording may be on both sides, so this accuracy says "
            "little about new recordings. It is for comparing with papers that split this way."
        )
    if config.get("evaluated"):
        lines.append(
            "The model was trained on this very folder: this is not an accuracy on new pictures."
            if config["evaluated"] == "trained on it"
            else "Whether the model was trained on some of these recordings cannot be seen here."
        )
    return lines


def _doubts_of_figures(metrics: dict[str, Any]) -> list[str]:
    main = answer(metrics)
    low, high = main["accuracy_interval_95"]
    lines = []
    if low <= main["majority_baseline"]:
        lines.append(
            "It is not shown to be better than always giving the same answer: the interval reaches "
            "down to that."
        )
    if high - low > 0.2:
        lines.append(
            f"Only {main['n_groups']} groups were tested: the true accuracy may be anywhere from "
            f"{100 * low:.0f} to {100 * high:.0f} %."
        )
    error = metrics["test"]["expected_calibration_error"]
    if error >= 0.1:
        lines.append(f"Probabilities are off by {100 * error:.0f} points on average.")
    untested = [name for name, row in metrics["test"]["per_class"].items() if not row["n"]]
    if untested:
        lines.append(f"Nothing is known about {', '.join(untested)}: no test {unit_of(metrics)}s.")
    return lines
