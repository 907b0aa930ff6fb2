"""Say what a careful reviewer would ask about an image folder, before anything is trained on it.

python -m data.audit spectrograms                        in the terminal
python -m data.audit spectrograms --html audit.html      with thumbnails
python -m data.audit spectrograms --predictions runs/latest/predictions.csv    and wrong labels
"""

from pathlib import Path

from common.cli import DONE, SOME_LEFT_OUT, config_from, make_parser, run
from data.audit.command import AuditConfig, audit_folder


def main() -> int:
    """Parse, and audit the folder."""
    parser = make_parser("python -m data.audit", (__doc__ or "").strip(), AuditConfig)
    parser.add_argument("folder", type=Path, help="image folder, <class>/<picture>")
    args = parser.parse_args()
    failures = audit_folder(args.folder, config_from(args, AuditConfig))
    return SOME_LEFT_OUT if failures else DONE


if __name__ == "__main__":
    run(main)
