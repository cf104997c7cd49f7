"""The manual's table of keys, made from the schema so that the two cannot part.

`python3 -m skd_cluster.config.reference docs/configuration.md` puts the present table into the document.
"""

import sys
from pathlib import Path

from skd_cluster.config.schema import KEYS, RESTART, Key

BEGIN = "<!-- keys: made by skd_cluster.config.reference, do not edit -->"
END = "<!-- end of keys -->"


def key_table() -> str:
    """Return the table of all keys in Markdown, in the order of the schema."""
    rows = ["| key | default | form | meaning |", "|---|---|---|---|"]
    rows += [_row(key) for key in KEYS.values()]
    return "\n".join(rows)


def _row(key: Key) -> str:
    default = "required" if key.required else f"`{key.default}`" if key.default else "none"
    restart = " *Needs a restart.*" if key.name in RESTART else ""
    cells = (f"`{key.name}`", default, key.form.words, key.doc + restart)
    return "| " + " | ".join(one.replace("|", "\\|") for one in cells) + " |"


def with_table(document: str) -> str:
    """Return the document with the present table between its two marks. Raises ValueError if they are not there."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are not in the document")
    return f"{before}{BEGIN}\n{key_table()}\n{END}{after}"


def main() -> None:
    """Bring the documents named on the command line up to date."""
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_table(path.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
