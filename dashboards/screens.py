"""Draw `skd-cluster status --watch` as it is on a terminal, from what both nodes of a recorded pair said of themselves."""

import io
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from dashboards.shapes import clock
from skd_cluster.adapters.screen import composed
from skd_cluster.cli.watch import STYLES
from skd_cluster.cli.watchview import Canvas, Seen, draw

COLUMNS, ROWS = 80, 24

# Rich's own, without the fonts that it would have the reader fetch from the net.
_FORMAT: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; \
line-height: {line_height}px }}
.{unique_id}-title {{ font-family: sans-serif; font-size: 18px; font-weight: bold }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def _moment(instant: float | None) -> str:
    return clock(instant) if instant else "never"


def _picture(shown: Text, title: str, name: str) -> str:
    console = Console(
        record=True,
        file=io.StringIO(),
        width=COLUMNS,
        height=ROWS,
        color_system="standard",
        force_terminal=True,
        legacy_windows=False,
        _environ={},
    )
    console.print(shown, end="", highlight=False, no_wrap=True, overflow="crop")
    return console.export_svg(title=title, code_format=_FORMAT, unique_id=name)


def screens(record: dict[str, Any]) -> dict[str, str]:
    """Return each picture of a terminal by the name of its file: both nodes at each moment, and one as tmux had it."""
    found = {}
    for moment, nodes in record["statuses"].items():
        for node, said in nodes.items():
            lines = draw(Seen(said["status"]), Canvas(COLUMNS, ROWS, _moment), said["at"])
            title, name = f"root@{node}: skd-cluster status --watch", f"watch-{moment}-{node}"
            found[f"{name}.svg"] = _picture(composed(lines, STYLES), title, name)
    for moment, text in record["screens"].items():
        name = f"watch-{moment}"
        found[f"{name}.svg"] = _picture(Text.from_ansi(text.rstrip("\n")), "root@lb2: skd-cluster status --watch", name)
    return found
