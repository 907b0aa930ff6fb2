"""The command `python -m data.audit`: what it looks at, prints, writes and mends."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.cli import option
from common.text import printable


@dataclass(frozen=True)
class AuditConfig:
    """Audit"""

    group: str = option("group", "column of clips.csv that tells which pictures belong together")
    html: str | None = option(None, "also write the audit with thumbnails to this file")
    predictions: str | None = option(None, "a run's predictions.csv: names labels to look at again")
    crop: bool = option(True, "crop margins and axes before pictures are compared")
    duplicates: Literal["near", "exact"] = option("near", "which equal pictures count")
    fix_duplicates: Literal["group", "drop", "no"] = option(
        "no", "group: write clips.csv so that they share a group; drop: move the later ones away"
    )


def audit_folder(folder: Path, config: AuditConfig) -> list[str]:
    """Look, print what was found, write the page and mend duplicates if asked to.

    Returns why each picture that is left out is unreadable.
    """
    from data.audit.audit import audit, lines  # torchvision takes seconds to import
    from data.audit.fix_duplicates import drop, share_groups
    from data.audit.label_errors import label_issues_in
    from data.audit.report import write_page
    from data.image_folder import scan

    examples = scan(folder, config.group)
    if config.predictions and examples.several_labels:
        raise ValueError(
            f"--predictions: the songs of {folder} have several labels, among which confident "
            "learning cannot tell the wrong ones"
        )
    issues = label_issues_in(Path(config.predictions)) if config.predictions else []
    found = audit(examples, duplicates=config.duplicates, label_issues=issues, crop=config.crop)
    for line in (*lines(found), *(f"note: left out: {why}" for why in examples.left_out.values())):
        print(printable(line, keep="\t"))
    if config.html:
        write_page(Path(config.html), found)
        print(f"audit with thumbnails: {config.html}")
    if config.fix_duplicates == "group":
        print(share_groups(found.examples, found.duplicates.pairs))
    elif config.fix_duplicates == "drop":
        print(drop(found.examples, found.duplicates.pairs))
    return [*found.failures, *examples.left_out.values()]
