"""model_card.md: what the model is, how good it is and what it is not for."""

import time
from pathlib import Path

from common.files import write_text
from common.html import fill_template
from train.models.facts import ModelFacts
from train.report.caveats import cautions, quotation, supports
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
        supports=supports(report),
        cautions=cautions(report.results, report.protocol),
        date=time.strftime("%Y-%m-%d"),
        run=run.name,
    )
    write_text(run / "model_card.md", text)
