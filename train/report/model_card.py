"""model_card.md: what the model is, how good it is and what it is not for, from the run's facts."""

import time
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from common.files import write_text
from train.models.model_file import revision
from train.report.caveats import answer, to_doubt, to_trust, unit_of


def write_card(run: Path, facts: dict[str, Any]) -> None:
    """Write `run`/model_card.md.

    facts: those of `report.write_report`, and model, the facts of the model file.
    """
    metrics = facts["metrics"]
    audit = facts["audit"] or {}
    n_duplicates = audit.get("n_exact", 0) + audit.get("n_near", 0)
    # Markdown is not HTML: names are kept from ending a table's cell, nothing else is special.
    template = Environment(loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True)
    template.filters["cell"] = lambda text: " ".join(str(text).replace("|", "\\|").split())
    text = template.get_template("model_card.md.jinja").render(
        **facts,
        main=answer(metrics),
        unit=unit_of(metrics),
        trust=to_trust(metrics, facts["config"], n_duplicates),
        doubt=to_doubt(metrics, facts["config"]),
        revision=revision(),
        date=time.strftime("%Y-%m-%d"),
        run=run.name,
    )
    write_text(run / "model_card.md", text)
