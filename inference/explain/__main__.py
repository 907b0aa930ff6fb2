"""Show what a model's answers hang on: where it looked, when it listened, what it finds alike.

python -m inference.explain runs/latest/model.pth song.png      Grad-CAM and attention of a picture
python -m inference.explain runs/latest/model.pth spectrograms/ a map of all pictures of a folder
python -m inference.explain runs/latest/model.pth features.csv  the columns that a table uses
"""

# Like main.py, this command joins the folders data, render and train; no file there imports it.

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT, config_from, make_parser, option, run

if TYPE_CHECKING:
    from inference.explain.collection import Subject
    from inference.explain.picture import Scale

LEAST_GAP = 0.05  # of the axis between two labels that do not touch


@dataclass(frozen=True)
class ExplainConfig:
    """Explanation"""

    out: str = option("explained", "folder to write to")
    what: Literal["auto", "pictures", "map"] = option(
        "auto", "each picture alone or a map of all; auto: a map of folders, else pictures"
    )
    label: str | None = option(None, "the class to explain; default the one that is predicted")
    projection: Literal["tsne", "umap"] = option("tsne", "how the map is made")


def main() -> int:
    """Read the pictures, explain them, say where the explanations are."""
    parser = make_parser("python -m inference.explain", (__doc__ or "").strip(), ExplainConfig)
    parser.add_argument("model", help="model.pth of a run")
    parser.add_argument("inputs", nargs="+", help="pictures, folders of pictures, or patterns")
    args = parser.parse_args()
    config = config_from(args, ExplainConfig)
    from inference.explain.collection import write_map, write_pictures
    from train.models import model_file

    model, facts = model_file.load(args.model)
    if "columns" in facts["image"]:
        print(write_columns(model, facts, args.inputs, Path(config.out)))
        return DONE
    subject, left_out = look(model, facts, args.inputs)
    for reason in left_out:
        print(f"error: {reason}", file=sys.stderr)
    if not subject.paths:
        return BAD_INPUT
    out, folders = Path(config.out), any(Path(name).is_dir() for name in args.inputs)
    if config.what == "map" or (config.what == "auto" and folders):
        written = write_map(subject, out, config.projection)
    else:
        written = write_pictures(subject, scale_of(subject.facts["render"]), out, config.label)
    print(*written, sep="\n")
    return SOME_LEFT_OUT if left_out else DONE


def look(model: Any, facts: dict[str, Any], inputs: list[str]) -> "tuple[Subject, list[str]]":
    """(the model's view of the pictures that can be read, why others cannot)."""
    import numpy as np
    import torch

    from data.images.read import read_picture
    from data.images.transforms import whole
    from inference.explain.collection import Subject
    from inference.inputs import expand
    from train.evaluate.metrics import probabilities_of
    from train.loop.inference import logits_of

    paths, pixels, left_out = [], [], []
    for path in expand(inputs):
        try:
            pixels.append(read_picture(path, tuple(facts["image"]["canvas"])))
            paths.append(path)
        except ValueError as error:
            left_out.append(str(error))
    spec, device = facts["image"], torch.device("cpu")
    images = torch.empty(0, 3, spec["height"], spec["width"], dtype=torch.uint8)
    probabilities = np.empty((0, len(facts["classes"])))
    if pixels:
        tensors = [torch.from_numpy(one.copy()).permute(2, 0, 1) for one in pixels]
        images = torch.stack([whole(tensor, spec) for tensor in tensors])
        logits = logits_of(model, [(part, part) for part in images.split(32)], device)
        probabilities = probabilities_of(logits, facts["temperature"])
    return Subject(model, facts, paths, pixels, images, probabilities), left_out


def write_columns(model: Any, facts: dict[str, Any], inputs: list[str], out: Path) -> Path:
    """Draw which columns of a table the answers hang on; the file."""
    from data.tabular.csv_file import read_rows
    from train.report.figures import save_figure
    from train.tabular.shap_summary import draw_summary, shap_values

    if len(inputs) != 1:
        raise ValueError(f"a model of tables explains one CSV; {len(inputs)} inputs are given")
    columns = facts["image"]["columns"]
    _, values = read_rows(Path(inputs[0]), columns)
    file = out / "shap.png"
    found = shap_values(model, facts["temperature"], values)
    save_figure(draw_summary(found, columns, facts["classes"]), file)
    return file


def scale_of(render: dict[str, Any] | None) -> "Scale":
    """The axes of pictures made with the rendering settings `render`; empty without them."""
    from inference.explain.picture import Scale
    from render.settings import RenderSettings
    from render.spectrogram.preview import frequency_ticks

    if render is None:
        return Scale()
    settings = dataclasses.replace(RenderSettings.from_dict(render), size="")
    name, n_fft = settings.layers[0]
    bands = settings.height
    places, labels = frequency_ticks(name, n_fft, bands, settings)
    ticks: list[tuple[float, str]] = []
    for place, label in zip(places, labels, strict=True):
        if not ticks or place / bands - ticks[-1][0] > LEAST_GAP:
            ticks.append((place / bands, label))
    seconds = settings.frames * settings.hop_length / settings.sr
    return Scale(seconds, tuple(ticks), "Hz" if name in ("mel", "log", "stft", "cqt") else name)


if __name__ == "__main__":
    run(main)
