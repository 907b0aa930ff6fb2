"""Say what a careful reviewer would ask about an image folder, before anything is trained on it.

python -m data.audit spectrograms                        in the terminal
python -m data.audit spectrograms --html audit.html      with thumbnails
python -m data.audit spectrograms --predictions runs/latest/predictions.csv    and wrong labels
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, option, run


@dataclass(frozen=True)
class AuditConfig:
    """Audit"""

    group: str = option("group", "column of clips.csv that tells which pictures belong together")
    html: str | None = option(None, "also write the audit with thumbnails to this file")
    predictions: str | None = option(None, "a run's predictions.csv: name suspected wrong labels")
    duplicates: Literal["near", "exact"] = option("near", "which equal pictures count")
    fix_duplicates: Literal["group", "drop", "no"] = option(
        "no", "group: write clips.csv so that they share a group; drop: move the later ones away"
    )


def main() -> int:
    """Parse, look, say what was found, and mend duplicates if asked to."""
    parser = make_parser("python -m data.audit", (__doc__ or "").strip(), AuditConfig)
    parser.add_argument("folder", help="image folder, <class>/<picture>")
    args = parser.parse_args()
    config = config_from(args, AuditConfig)
    from data.audit.audit import audit, lines
    from data.audit.fix_duplicates import drop, share_groups
    from data.audit.label_errors import label_issues_in
    from data.audit.page import write_page  # scikit-learn and torchvision take seconds to import
    from data.image_folder import scan

    suspects = label_issues_in(Path(config.predictions)) if config.predictions else []
    found = audit(scan(args.folder, config.group), duplicates=config.duplicates, suspects=suspects)
    print(*lines(found), sep="\n")
    if config.html:
        write_page(Path(config.html), found, found.findings())
        print(f"audit with thumbnails: {config.html}")
    if config.fix_duplicates == "group":
        print(share_groups(found.examples, found.duplicates))
    elif config.fix_duplicates == "drop":
        print(drop(found.examples, found.duplicates))
    return SOME_LEFT_OUT if found.failures else DONE


if __name__ == "__main__":
    run(main)
