"""model_card.md: what the model is, how good it is and what it is not for."""

import time
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from common.files import write_text
from train.models.facts import ModelFacts
from train.report.caveats import cautions, supports
from train.report.run_report import RunReport


def write_card(run: Path, report: RunReport, model: ModelFacts) -> None:
    """Write `run`/model_card.md."""
    # Markdown is not HTML: names are kept from ending a table's cell, nothing else is special.
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True)
    template.filters["cell"] = lambda text: " ".join(str(text).replace("|", "\\|").split())
    text = template.get_template("model_card.md.jinja").render(
        report=report,
        results=report.results,
        main=report.results.main,
        unit=report.results.unit,
        model=model,
        supports=supports(report),
        cautions=cautions(report.results, report.protocol),
        date=time.strftime("%Y-%m-%d"),
        run=run.name,
    )
    write_text(run / "model_card.md", text)
