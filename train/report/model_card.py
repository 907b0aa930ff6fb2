"""model_card.md: what the model is, how good it is and what it is not for."""

import time
from pathlib import Path

import yaml

from common.files import write_text
from common.html import fill_template
from train.models.facts import ModelFacts
from train.report.caveats import cautions, in_several, quotation, supports
from train.report.run_report import RunReport


def write_card(run: Path, report: RunReport, model: ModelFacts) -> None:
    """Write `run`/model_card.md."""
    text = fill_template(
        Path(__file__).with_name("model_card.md.jinja"),
        report=report,
        results=report.results,
        main=report.results.main,
        unit=report.results.unit,
        model=model,
        quotation=quotation(report),
        in_several=in_several(report.results) if report.results.several else "",
        supports=supports(report),
        cautions=cautions(report.results, report.protocol),
        date=time.strftime("%Y-%m-%d"),
        run=run.name,
    )
    write_text(run / "model_card.md", f"---\n{front_matter(run.name, report, model)}---\n\n{text}")


def front_matter(name: str, report: RunReport, model: ModelFacts) -> str:
    """What Hugging Face's hub reads at the head of a card, as YAML: task, data set, figures."""
    task = "image-classification"
    if model.is_table:
        task = "tabular-classification"
    elif model.render:
        task = "audio-classification"
    folder = Path(report.data).name or "data"
    main = report.results.main
    figures = {"accuracy": main.accuracy, "f1": main.macro_f1}
    if main.several:
        figures["mean_average_precision"] = main.several.mean_average_precision
    result = {
        "task": {"type": task},
        "dataset": {"name": folder, "type": folder},
        "metrics": [
            {"type": kind, "value": round(value, 4), "name": f"{kind} of {main.n} tested"}
            for kind, value in figures.items()
        ],
    }
    card = {
        "library_name": "spectrofold",
        "pipeline_tag": task,
        "tags": ["spectrogram", "music", model.backbone],
        "metrics": list(figures),
        "model-index": [{"name": name, "results": [result]}],
    }
    return yaml.safe_dump(card, sort_keys=False, allow_unicode=True)
