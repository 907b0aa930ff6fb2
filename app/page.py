"""The web page, made of Gradio's parts, and its HTTP API."""

import functools
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.corrections import Corrections
from app.library import Library
from app.service import HEADINGS, Service
from app.view import (
    answer_view,
    for_clients,
    heat_view,
    hidden_data,
    plain,
    table_view,
    timeline_rows,
)
from train.evaluate.results import Results
from train.models.facts import ModelFacts
from train.report.caveats import about_model, cautions
from train.report.run_report import EvaluationProtocol

DEMO = Path(__file__).resolve().parent.parent / "subsampled_data"
EXAMPLES = Path(__file__).with_name("examples")
MOST_NAMED = 12  # classes in the first sentence
WAITING = "The answer comes here."


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


def build(
    service: Service,
    folder: Path,
    corrections: Corrections | None = None,
    library: Library | None = None,
) -> gr.Blocks:
    """The page; the tables that it offers for download are written below `folder`.

    corrections: where visitors' corrections go; None where nobody may correct.
    """
    model = service.model
    with Page(title="Spectrofold", analytics_enabled=False) as page:
        facts = model.facts
        several = facts.several is not None
        gr.Markdown(greeting(facts.classes, hears=facts.render is not None, several=several))
        with gr.Tab("One file"):
            _one(service, corrections)
        with gr.Tab("Several files"):
            _several(service, folder)
        if library:
            with gr.Tab("Library"):
                gr.Markdown(hidden_data(library.facts()), elem_id="library", latex_delimiters=[])
        gr.Markdown(about(model.facts))
        if service.report and service.report.is_file():
            gr.DownloadButton("The full report", value=str(service.report), size="sm")
        _for_programs(service, folder)
    page.queue(max_size=100, default_concurrency_limit=2)
    return page


def _for_programs(service: Service, folder: Path) -> None:
    """The HTTP API, whose parts nobody sees."""
    one = only_sent(gr.File(visible=False))
    gr.Button(visible=False).click(
        in_words(lambda path: for_clients(service.answer(_given(path)))),
        one,
        gr.JSON(visible=False),
        api_name="classify",
        api_description="Classify a recording or a picture: class, probabilities, timeline.",
    )
    many = only_sent(gr.File(visible=False, file_count="multiple"))
    gr.Button(visible=False).click(
        in_words(lambda paths: _table(service, paths or [], folder)),
        many,
        [gr.Dataframe(headers=list(HEADINGS), visible=False), gr.File(visible=False)],
        api_name="classify_many",
        api_description="Classify many files: rows of a table, and the same as a CSV file.",
    )


def _table(service: Service, paths: list[str], folder: Path) -> tuple[list[list[str]], str]:
    file = Path(tempfile.mkdtemp(dir=folder)) / "answers.csv"
    return service.table(paths, file), str(file)


def _one(service: Service, corrections: Corrections | None) -> None:
    """The tab for one file: drop, record or pick; the answer with its player, Grad-CAM, clips."""
    model = service.model
    file, recorded = _inputs(model.facts)
    source = gr.State()
    answer = gr.Markdown(WAITING, elem_id="answer", latex_delimiters=[])
    wrong = [_correct(corrections, model.facts, source)] if corrections else []
    ask = gr.Button("Show Grad-CAM", visible=False, elem_id="explain", size="sm")
    heat = gr.Markdown(elem_id="heat", visible=False, latex_delimiters=[])
    clips, timeline = _clip_table()

    def show(path: str | None) -> list[Any]:
        hidden, answered = gr.update(visible=False), gr.update(visible=True)
        if path is None:
            empty = gr.update(value=None, visible=False)
            return [WAITING, hidden, empty, hidden, [], None, *(hidden for _ in wrong)]
        prediction, picture = service.show(path)
        return [
            answer_view(prediction, picture, path, model.classes, model.facts.render),
            gr.update(visible=service.explains),
            hidden,
            gr.update(visible=bool(prediction.timeline)),
            timeline_rows(prediction),
            path,
            *(answered for _ in wrong),
        ]

    def explain(path: str | None) -> Any:
        return gr.update(value=heat_view(service.explain(_given(path))), visible=True)

    outputs = [answer, ask, heat, clips, timeline, source, *wrong]
    file.change(in_words(show), file, outputs, api_visibility="private")
    recorded.stop_recording(in_words(show), recorded, outputs, api_visibility="private")
    ask.click(in_words(explain), source, heat, api_visibility="private")


def _inputs(facts: ModelFacts) -> tuple[Any, Any]:
    """(file, microphone), with songs to try where the model hears, else the demo's pictures."""
    what = "recording or picture" if facts.render else "picture"
    label = f"Drop a {what} here, or click to choose one"
    file = only_sent(gr.File(label=label, elem_id="file", height=130))
    if examples := song_examples() if facts.render else demo_examples(facts.classes):
        gr.Examples(
            [[path] for path in examples.values()],
            [file],
            example_labels=list(examples),
            label="Or try one of these",
            api_visibility="private",
            elem_id="examples",
        )
    with gr.Accordion("Record with the microphone", open=False, visible=bool(facts.render)):
        recorded = only_sent(
            gr.Audio(sources=["microphone"], type="filepath", label="Microphone", elem_id="record")
        )
    return file, recorded


def _correct(corrections: Corrections, facts: ModelFacts, source: gr.State) -> gr.Accordion:
    """What a visitor with the password sees of an answer: classes for the file in `source`."""
    several = facts.several is not None
    with gr.Accordion(
        "This answer is wrong", open=False, visible=False, elem_id="correct"
    ) as wrong:
        chosen = gr.Dropdown(
            list(facts.classes), value=None, label="It is really", multiselect=several
        )
        button = gr.Button("Correct it", size="sm")
        gr.Markdown("The file is then kept beside the model, which can learn from it.")
        said = gr.Markdown(corrections.summary, elem_id="waiting")

    def correct(path: str | None, chosen: str | list[str] | None, request: gr.Request) -> str:
        labels = [chosen] if isinstance(chosen, str) else chosen or []
        noted = corrections.add(_given(path), labels, request.username or "a visitor")
        return f"Noted: {plain(noted.label)}. {corrections.summary()}"

    button.click(in_words(correct), [source, chosen], said, api_visibility="private")
    return wrong


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
        gr.File(
            label="Drop recordings and pictures here, or click to choose them",
            file_count="multiple",
            elem_id="files",
            height=130,
        )
    )
    table = gr.Markdown(elem_id="table", latex_delimiters=[])
    download = gr.DownloadButton("Download the table", visible=False, elem_id="download")

    def fill(paths: list[str] | None) -> tuple[str, Any]:
        if not paths:
            return "", gr.update(visible=False)
        rows, file = _table(service, paths, folder)
        return table_view(rows), gr.update(value=file, visible=True)

    files.change(in_words(fill), files, [table, download], api_visibility="private")


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


def greeting(classes: Sequence[str], *, hears: bool, several: bool = False) -> str:
    """The page's first sentence, Markdown. several: the model gives several labels."""
    shown = [plain(name) for name in classes[:MOST_NAMED]]
    more = len(classes) - len(shown)
    names = ", ".join(shown) + (f" and {more} more" if more else "")
    what = "song" if hears else "picture"
    where = " It shows where in the song it hears what." if hears else ""
    if several:
        return (
            f"# Which classes has this {what}?\nDrop a {what}: this page says which of "
            f"{len(classes)} classes it has, one, several or none ({names}), and how sure it is of "
            f"each.{where}"
        )
    return (
        f"# Which class is this {what}?\nDrop a {what}: this page says which of {len(classes)} "
        f"classes it is ({names}), and how sure it is.{where}"
    )


def song_examples() -> dict[str, str]:
    """The sounds that come with the page, by a label: free music, see examples/SOURCES.md."""
    return {file.stem: str(file) for file in sorted(EXAMPLES.glob("*.ogg"))}


def demo_examples(classes: Sequence[str]) -> dict[str, str]:
    """A picture of the demo for each class, if they are the classes that the model knows."""
    folders = sorted(p.name for p in DEMO.iterdir() if p.is_dir()) if DEMO.is_dir() else []
    if not set(classes) <= set(folders):
        return {}
    return {name: str(min((DEMO / name).glob("*.png"))) for name in classes}


def about(facts: ModelFacts) -> str:
    """The foot of the page, Markdown: what the model is, and how well it did when tested."""
    lines = [plain(about_model(facts))]
    if metrics := facts.metrics:
        said = cautions(Results.from_dict(metrics), EvaluationProtocol.of_run(facts.config))
        lines += [f"- {plain(line)}" for line in said]
    lines.append("\nFiles are read on this machine, sent nowhere, and deleted soon after.")
    return "---\n**The model.** " + "\n".join(lines)
