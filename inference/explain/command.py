"""What python -m inference.explain does: pictures, songs or a table to figures in a folder."""

import sys
from pathlib import Path

from common.cli import BAD_INPUT, DONE, SOME_LEFT_OUT
from common.plots import save_figure
from common.text import printable
from data.tabular.csv_file import read_rows
from inference.explain.config import ExplainConfig
from inference.explain.embedding_map import write_map
from inference.explain.gradcam_figure import axes_of, write_figures
from inference.explain.page import write_columns
from inference.explain.pictures import predict_pictures
from inference.inputs import expand
from inference.model import Model
from train.models.network import TorchNetwork, open_network
from train.tabular.shap_summary import draw_summary, shap_values


def explain(model_file: str, inputs: list[str], config: ExplainConfig) -> int:
    """Write the figures and print their names; the exit code."""
    network, facts = open_network(model_file)
    if not isinstance(network, TorchNetwork):
        raise ValueError(f"{model_file}: explanations need the weights: give model.pth")
    model, out = Model(facts, network), Path(config.out)
    if facts.is_table:
        print(*write_shap_figure(model, network, inputs, out), sep="\n")
        return DONE
    pictures = predict_pictures(model, expand(inputs), config.clips)
    for one in pictures.left_out:
        print(f"error: {printable(one.reason)}", file=sys.stderr)
    if not pictures.paths:
        return BAD_INPUT
    folders = any(Path(name).is_dir() for name in inputs)
    if config.what == "map" or (config.what == "auto" and folders):
        facts.need_one_label("the map has a colour for each class")
        written = write_map(pictures, network, out, config.projection)
    else:
        axes = axes_of(facts.render)
        written = write_figures(pictures, network, axes, out, config.label)
    print(*written, sep="\n")
    return SOME_LEFT_OUT if pictures.left_out else DONE


def write_shap_figure(
    model: Model, network: TorchNetwork, inputs: list[str], out: Path
) -> tuple[Path, Path]:
    """Draw how much each column of a table moves the probabilities; the figure and its page."""
    if len(inputs) != 1:
        raise ValueError(f"a model of tables explains one CSV; {len(inputs)} inputs are given")
    columns = model.facts.columns
    _, values = read_rows(Path(inputs[0]), columns)
    file, page = out / "shap.png", out / "explanation.html"
    found = shap_values(network.module, model.facts.temperature, values)
    figure = draw_summary(found, columns, model.classes)
    save_figure(figure, file)
    about = f"{model.facts.backbone}, {len(model.classes)} classes"
    write_columns(page, figure, Path(inputs[0]).name, len(found), about)
    return file, page
