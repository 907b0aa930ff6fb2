"""The web page, made of Gradio's parts, and its HTTP API."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.service import Service
from inference.output import as_dict, clock
from inference.prediction import Prediction
from train.evaluate.results import Results
from train.models.facts import ModelFacts
from train.report.caveats import cautions
from train.report.run_report import EvaluationProtocol

DEMO = Path(__file__).resolve().parent.parent / "subsampled_data"
HEADERS = ["file", "class", "probability", "agreement", "remark"]
# Without the screen's own width as a limit, a table with long remarks widens the page of a phone.
CSS = """
.gradio-container {max-width: min(1100px, 100vw) !important; margin: 0 auto}
#answer h2 {margin: 0.2em 0}
"""


class Page(gr.Blocks):
    """Gradio's page, which writes no traceback for a request that it does not understand."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        """As Gradio's; what it cannot read is refused in words."""
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error:
            raise
        except Exception:  # of pydantic, of Gradio's look at paths, of lists that are too short
            said = "the data are not a file that was sent before"
            raise gr.Error(said, print_exception=False) from None


def build(service: Service, folder: Path) -> gr.Blocks:
    """The page; the tables that it offers for download are written below `folder`."""
    model = service.model
    with Page(title="Spectrofold", analytics_enabled=False) as page:
        names = ", ".join(_plain(name) for name in model.classes)
        gr.Markdown(f"# Spectrofold\nNames the class of a recording or picture: {names}.")
        with gr.Tab("One recording or picture"):
            _one(service)
        with gr.Tab("Several files"):
            _several(service, folder)
        gr.Markdown(about(model.facts))
        hidden = only_sent(gr.File(visible=False))
        gr.Button(visible=False).click(
            in_words(lambda path: for_clients(service.answer(_given(path)))),
            hidden,
            gr.JSON(visible=False),
            api_name="classify",
            api_description="Classify a recording or a picture: class, probabilities, timeline.",
        )
    page.queue(max_size=100, default_concurrency_limit=2)
    return page


def _one(service: Service) -> None:
    """The tab for one file: drop, record or pick; answer, picture, player and timeline."""
    with gr.Row():
        with gr.Column(min_width=300):
            file, recorded = _inputs(service.model.classes)
        with gr.Column(min_width=300):
            answer = _answer()
    picture, ask, heat = _picture_and_gradcam()
    clips, timeline = _clip_table()
    source = gr.State()

    def show(path: str | None) -> list[Any]:
        if path is None:
            return [""] + 6 * [gr.update(visible=False)] + [None, None]
        prediction, drawn = service.show(path)
        is_recording = bool(prediction.timeline)
        return [
            headline(prediction),
            gr.update(value=prediction.probabilities, visible=True),
            gr.update(value=path if is_recording else None, visible=is_recording),
            gr.update(value=drawn, visible=True),
            gr.update(visible=service.explains),
            gr.update(value=None, visible=False),
            gr.update(visible=is_recording),
            timeline_rows(prediction),
            path,
        ]

    def explain(path: str | None) -> Any:
        return gr.update(value=service.explain(_given(path)), visible=True)

    outputs = [*answer, picture, ask, heat, clips, timeline, source]
    file.change(in_words(show), file, outputs, api_visibility="private")
    recorded.stop_recording(in_words(show), recorded, outputs, api_visibility="private")
    ask.click(in_words(explain), source, heat, api_visibility="private")


def _inputs(classes: Sequence[str]) -> tuple[Any, Any]:
    """(file, microphone), and the demo's pictures where the model knows their classes."""
    file = only_sent(gr.File(label="A recording or a picture", elem_id="file"))
    recorded = only_sent(gr.Audio(sources=["microphone"], type="filepath", label="Or record"))
    if examples := demo_examples(classes):
        gr.Examples(
            [[path] for path in examples.values()],
            [file],
            example_labels=list(examples),
            label="Or one of the demo's pictures",
            api_visibility="private",
        )
    return file, recorded


def _answer() -> tuple[gr.Markdown, gr.Label, gr.Audio]:
    """(headline, probabilities, player)."""
    return (
        gr.Markdown(elem_id="answer"),
        gr.Label(label="Probabilities", show_heading=False, visible=False),
        gr.Audio(
            label="Listen", interactive=False, visible=False, elem_id="player", buttons=["download"]
        ),
    )


def _picture_and_gradcam() -> tuple[gr.Image, gr.Button, gr.Image]:
    # Gradio's own buttons but the one that shares with others
    hidden: dict[str, Any] = {"interactive": False, "visible": False, "show_label": False}
    hidden["buttons"] = ["download", "fullscreen"]
    picture = gr.Image(label="The network's input", elem_id="picture", **hidden)
    ask = gr.Button("Show Grad-CAM", visible=False, elem_id="explain")
    return picture, ask, gr.Image(label="Grad-CAM", elem_id="heat", **hidden)


def _clip_table() -> tuple[gr.Accordion, gr.Dataframe]:
    with gr.Accordion("Clip by clip", open=False, visible=False) as clips:
        timeline = gr.Dataframe(
            headers=["from", "to", "class", "probability", "remark"],
            interactive=False,
            wrap=True,
            column_widths=["80px", "80px", "150px", "120px", "300px"],
            elem_id="clips",
        )
    return clips, timeline


def _several(service: Service, folder: Path) -> None:
    """The tab for several files: a table, and the same with every probability to download."""
    files = only_sent(
        gr.File(label="Recordings and pictures", file_count="multiple", elem_id="files")
    )
    table = gr.Dataframe(
        headers=HEADERS,
        interactive=False,
        wrap=True,
        elem_id="table",
        column_widths=["220px", "150px", "120px", "120px", "360px"],
    )
    download = gr.DownloadButton("Download the table", visible=False, elem_id="download")

    def fill(paths: list[str] | None) -> tuple[list[list[str]] | None, Any]:
        if not paths:
            return None, gr.update(visible=False)
        file = Path(tempfile.mkdtemp(dir=folder)) / "answers.csv"
        rows = service.table(paths, file)
        return rows, gr.update(value=str(file), visible=True)

    files.change(
        in_words(fill),
        files,
        [table, download],
        api_name="classify_many",
        api_description="Classify many files: rows of a table, and the same as a CSV file.",
    )


def in_words(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` whose ValueError the page shows as a message; another error is a bug of ours."""

    @functools.wraps(function)
    def shown(*args: Any) -> Any:
        try:
            return function(*args)
        except ValueError as error:
            raise gr.Error(str(error), print_exception=False) from None

    return shown


def only_sent(part: Any) -> Any:
    """The part of the page, taking what is sent to it and no address.

    Gradio would download what stands there, of any size, for whoever asks.
    """
    keep = part.async_move_resource_to_block_cache

    async def keep_if_sent(path: Any) -> Any:
        if str(path).lower().startswith(("http:", "https:")):
            raise gr.Error("an address is not fetched; send the file itself", print_exception=False)
        return await keep(path)

    part.async_move_resource_to_block_cache = keep_if_sent
    return part


def _given(path: str | None) -> str:
    if path is None:
        raise ValueError("no file is given; send a recording or a picture")
    return path


def headline(prediction: Prediction) -> str:
    """The answer as Markdown: the class, or that it is unsure and why."""
    share = f"{_plain(prediction.label)}, {prediction.probability:.0%}"
    lines = [f"## {share}"]
    if prediction.unsure:
        lines = ["## Unsure", f"{prediction.unsure}. Nearest: {share}."]
    if clips := prediction.timeline:
        agreeing = round(prediction.agreement * len(clips))
        lines.append(f"{agreeing} of {len(clips)} clips agree, {clock(clips[-1].end_s)} in all.")
    return "\n\n".join(lines)


def for_clients(prediction: Prediction) -> dict[str, Any]:
    """The prediction with its timeline as plain data, under "file" the name that was sent.

    Gradio's client would download whatever stands under "path".
    """
    plain = as_dict(prediction, timeline=True)
    return {"file": plain.pop("path")} | plain


def timeline_rows(prediction: Prediction) -> list[list[str]]:
    """Rows (from, to, class, probability, remark) of the clips."""
    return [
        [clock(m.start_s), clock(m.end_s), m.label, f"{m.probability:.2f}", m.unsure or ""]
        for m in prediction.timeline
    ]


def demo_examples(classes: Sequence[str]) -> dict[str, str]:
    """A picture of the demo for each class, if they are the classes that the model knows."""
    folders = sorted(p.name for p in DEMO.iterdir() if p.is_dir()) if DEMO.is_dir() else []
    if not set(classes) <= set(folders):
        return {}
    return {name: str(min((DEMO / name).glob("*.png"))) for name in classes}


def about(facts: ModelFacts) -> str:
    """The foot of the page, Markdown: what the model is, and how well it did when tested."""
    size = f"{facts.image.width}x{facts.image.height}"
    lines = [f"**The model.** {_plain(facts.backbone)}, pictures of {size} pixels."]
    if metrics := facts.metrics:
        results = Results.from_dict(metrics)
        main = results.main
        low, high = main.accuracy_interval_95
        lines.append(
            f"**How good it is.** {main.accuracy:.0%} right (95 % interval {low:.0%} to "
            f"{high:.0%}) on {main.n} {results.main_unit} that it had not seen; always answering "
            f"{_plain(main.majority_class)} would have {main.majority_baseline:.0%}."
        )
        protocol = EvaluationProtocol.of_run(facts.config)
        lines += [_plain(line) for line in cautions(results, protocol)]
    lines.append("Files are read on this machine, sent nowhere, and deleted soon after.")
    return "---\n" + "\n\n".join(lines)


def _plain(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]<>()#+-.!|&~$" else c for c in text)
