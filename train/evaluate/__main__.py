"""Test a model file on any labelled folder, and say how far its pictures are from training's.

python -m train.evaluate runs/latest/model.pth other_pictures --out evaluated
"""

# Like main.py, this command joins the folders data and train; no file there imports it.

import json
import shlex
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, option, run

if TYPE_CHECKING:
    import torch

    from data.audit.audit import Audit
    from data.examples import Examples
    from train.models.classifier import Classifier
    from train.models.facts import DomainReference, ModelFacts
    from train.report.gallery import Tested

N_TRIED = 64  # pictures on which likely causes are tried
FAR_SHARE, FAR_SHIFT = 0.25, 1.5


@dataclass(frozen=True)
class EvaluateConfig:
    """Evaluation"""

    out: str = option("evaluated", "folder for report.html, metrics.json and predictions.csv")
    group: str = option("group", "column of clips.csv that tells which pictures belong together")
    batch_size: int = option(32, "pictures at a time")

    def __post_init__(self) -> None:
        """Raise ValueError naming the option whose value is out of range."""
        if self.batch_size < 1:
            raise ValueError(f"--batch-size {self.batch_size}: must be 1 or more")


def main() -> int:
    """Parse, test, write the report and say the answer."""
    parser = make_parser("python -m train.evaluate", (__doc__ or "").strip(), EvaluateConfig)
    parser.add_argument("model", help="model.pth of a run")
    parser.add_argument("folder", help="image folder, <class>/<picture>, with the model's classes")
    args = parser.parse_args()
    config = config_from(args, EvaluateConfig)
    started = time.monotonic()
    from data.audit.audit import audit
    from data.image_folder import scan
    from train.models import model_file

    model, facts = model_file.load(args.model)
    examples, left_out = of_known_classes(scan(args.folder, config.group), facts.classes)
    found = audit(examples)
    left_out += found.failures
    tested = test(model, facts, found.examples, config.batch_size)
    lines = distance_lines(model, facts, found, tested)
    command = shlex.join(["python", "-m", "train.evaluate", args.model, args.folder])
    page = {
        "title": f"{Path(args.folder).resolve().name} by {Path(args.model).resolve().parent.name}",
        "first_line": f"{facts.backbone}, model file {args.model}", "distance": lines,
        "notes": [f"left out: {reason}" for reason in left_out], "command": command,
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip
    summary = write(Path(config.out), page, facts, found, tested)
    print(*summary, *(f"note: {line}" for line in lines), sep="\n")
    print(f"report: {Path(config.out) / 'report.html'}")
    for reason in left_out:
        print(f"left out: {reason}", file=sys.stderr)
    return SOME_LEFT_OUT if left_out else DONE


def of_known_classes(
    examples: "Examples", classes: tuple[str, ...]
) -> "tuple[Examples, list[str]]":
    """(the examples of classes that the model knows, under its labels; the folders left out)."""
    import numpy as np

    label_of = {name: label for label, name in enumerate(classes)}
    labels = np.array([label_of.get(name, -1) for name in examples.classes])[examples.labels]
    if (labels < 0).all():
        raise ValueError(
            f"{examples.root} has the classes {', '.join(examples.classes)}, the model knows "
            f"{', '.join(classes)}: none in common"
        )
    known = replace(examples, classes=classes, labels=labels).take(labels >= 0)
    unknown = [name for name in examples.classes if name not in label_of]
    return known, [f"{examples.root}/{name}: the model has no such class" for name in unknown]


def test(
    model: "Classifier", facts: "ModelFacts", examples: "Examples", batch_size: int
) -> "Tested":
    """The examples, whose labels are the model's, with its probabilities."""
    import numpy as np
    import torch

    from data.images.loader import Pictures
    from data.images.picture_array import PictureArray
    from train.evaluate.calibration import probabilities_of
    from train.report.gallery import answers_of, look_at

    array = PictureArray(examples.root, examples.paths, facts.image.canvas)
    pictures = Pictures(array, examples.labels, facts.image)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device)

    def batches(positions: np.ndarray) -> Any:
        return pictures.batches(positions, batch_size=batch_size)

    answers = answers_of(model, batches, len(examples), device)
    about = {
        "classes": examples.classes, "paths": examples.paths, "labels": examples.labels,
        "probabilities": probabilities_of(answers.logits, facts.temperature),
    }  # fmt: skip
    return look_at(model, about, answers, batches, device, facts.image.canvas)


def distance_lines(
    model: "Classifier", facts: "ModelFacts", found: "Audit", tested: "Tested"
) -> list[str]:
    """How far the pictures are from those of training, and why, in sentences."""
    import numpy as np

    from train.evaluate.domain_shift import distances, shift

    lines = drawn_differently(facts, found)
    reference = facts.domain
    if not reference:
        return [*lines, "the model file tells too little to measure the distance of its embeddings"]
    n_groups = len(np.unique(found.examples.groups[tested.embedded]))
    share = float((distances(tested.embeddings, reference) > reference.far).mean())
    off = shift(tested.embeddings, reference, n_groups)
    lines.append(
        f"{100 * share:.0f} % of the pictures are further off than 95 % of the model's own are, "
        f"and their middle is off by {off:.1f} times what is usual among these"
    )
    if share > FAR_SHARE or off > FAR_SHIFT:
        cause = _cause(model, facts, reference, tested)
        lines.append(
            f"likely cause: {cause[0]} (undone, {cause[1]:.1f} becomes {cause[2]:.1f})"
            if cause
            else "the cause is none of the usual ones: longer or shorter clips, other colours, "
            "pitch upside down"
        )
    return lines


def drawn_differently(facts: "ModelFacts", found: "Audit") -> list[str]:
    """What is known to differ from training: settings of render.json, size, colour map."""
    from collections import Counter

    lines = []
    settings = found.examples.root / "render.json"
    then = facts.render.to_dict() if facts.render else {}
    now = json.loads(settings.read_text(encoding="utf-8")) if settings.exists() else {}
    for key in sorted(then.keys() & now.keys() - {"version", "clips"}):
        if then[key] != now[key]:
            lines.append(f"drawn with {key} {now[key]}, the training pictures with {then[key]}")
    (width, height), _ = Counter((k.width, k.height) for k in found.appearances).most_common(1)[0]
    canvas = facts.image.canvas
    if abs(width / height / (canvas[0] / canvas[1]) - 1) > 0.1:
        lines.append(f"pictures are {width}x{height}, those of training were kept at {canvas[0]}x"
                     f"{canvas[1]}: another shape")  # fmt: skip
    colours = Counter(look.colour_map for look in found.appearances).most_common(1)[0][0]
    if facts.domain and (usual := facts.domain.colour_map) and usual != colours:
        lines.append(f"the colour map is {colours}, that of training was {usual}")
    return lines


def _cause(
    model: "Classifier", facts: "ModelFacts", known: "DomainReference", tested: "Tested"
) -> Any:
    import numpy as np
    import torch

    from train.evaluate.domain_shift import likely_cause

    some = np.random.default_rng(0).permutation(len(tested.labels))[:N_TRIED]
    images = torch.from_numpy(tested.pictures(some)).permute(0, 3, 1, 2)
    device = next(model.parameters()).device
    seconds = facts.render.clip_seconds if facts.render else None

    @torch.inference_mode()
    def embed(images: torch.Tensor) -> np.ndarray:
        parts = [model.features(part.to(device)).float().cpu() for part in images.split(16)]
        return torch.cat(parts).numpy()

    return likely_cause(images, embed, known, _redraw(known), seconds)


def _redraw(known: "DomainReference") -> Any:
    """Pictures in the colours of training, by their brightness; None if these are not known."""
    import torch
    from matplotlib import colormaps

    name = str(known.colour_map)
    if name not in colormaps:
        return None
    table = torch.tensor(colormaps[name](range(256))[:, :3] * 255).round().to(torch.uint8)

    def redraw(images: "torch.Tensor") -> "torch.Tensor":
        weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        grey = (images.float() * weights).sum(dim=1)
        low, high = grey.amin((1, 2), keepdim=True), grey.amax((1, 2), keepdim=True)
        level = (255 * (grey - low) / (high - low).clamp_min(1)).round().long()
        return table[level].permute(0, 3, 1, 2).contiguous()

    return redraw


def same_folder(facts: "ModelFacts", examples: "Examples") -> bool:
    """Whether the model was trained on the folder of the examples."""
    trained_on = str(facts.config.get("data") or "")
    return bool(trained_on) and Path(trained_on).resolve() == examples.root.resolve()


def write(
    out: Path, page: dict[str, Any], facts: "ModelFacts", found: "Audit", tested: "Tested"
) -> list[str]:
    """Write the report and its files; returns the answer in a few lines."""
    import numpy as np

    from common.files import write_csv, write_text
    from data.audit.page import as_facts
    from data.summary import class_rows
    from train.evaluate.metrics import by_recording, score
    from train.report.page import write_report

    examples = found.examples
    majority = int(np.bincount(tested.labels).argmax())
    keywords: dict[str, Any] = {"classes": tested.classes, "majority": majority}
    groups, recordings = examples.groups, examples.recordings
    metrics: dict[str, Any] = {
        "test": score(tested.probabilities, tested.labels, groups, **keywords),
        "temperature": facts.temperature, "distance": page["distance"],
    }  # fmt: skip
    if len(np.unique(recordings)) < len(recordings):
        songs = by_recording(tested.probabilities, tested.labels, recordings, groups)
        metrics["test_recordings"] = score(*songs, **keywords)
    summary = [answer_line(metrics)]
    counts = class_rows(examples, np.full(len(examples), "test"))
    page = page | {
        "metrics": metrics, "summary": summary, "counts": counts, "config_text": "",
        "config": {"evaluated": "trained on it" if same_folder(facts, examples) else "elsewhere"},
        "audit": as_facts(found, found.findings()),
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    write_report(out, page, [], tested)
    write_text(out / "metrics.json", json.dumps(metrics, indent=1, ensure_ascii=False) + "\n")
    header, rows = predictions(tested, groups)
    write_csv(out / "predictions.csv", header, rows)
    return summary


def answer_line(metrics: dict[str, Any]) -> str:
    """The accuracy with its interval and the baseline."""
    from train.report.caveats import answer

    main = answer(metrics)
    low, high = main["accuracy_interval_95"]
    return (
        f"accuracy {main['accuracy']:.3f} (95 % interval {low:.3f} to {high:.3f}) on {main['n']} "
        f"{main['unit']} of {main['n_groups']} groups; always answering {main['majority_class']} "
        f"would have {main['majority_baseline']:.3f}"
    )


def predictions(tested: "Tested", groups: Any) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of predictions.csv, as a run has it."""
    header = ["path", "label", "group", "split", "predicted", *tested.classes]
    rows = [
        [tested.paths[i], tested.classes[tested.labels[i]], groups[i], "test",
         tested.classes[row.argmax()], *(f"{p:.6f}" for p in row)]
        for i, row in enumerate(tested.probabilities)
    ]  # fmt: skip
    return header, rows


if __name__ == "__main__":
    run(main)
