"""How our panels look: few kinds, the same colours for the same things everywhere."""

import itertools
from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    GridPos,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
    VariableRefresh,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24

LETTERS = "ABCDEFGH"

Queries = Mapping[str, str]
"""PromQL by legend."""

YES_NO = {"1": ("yes", "green"), "0": ("NO", "red")}
ROLES = {
    "1": ("backup", "blue"),
    "2": ("master", "green"),
    "3": ("fault", "red"),
    "4": ("standby", "yellow"),
}
ROLE = (
    '2 * skd_cluster_role{{role="master"{0}}} + ignoring (role) 1 * skd_cluster_role{{role="backup"{0}}}'
    ' + ignoring (role) 3 * skd_cluster_role{{role="fault"{0}}} + ignoring (role) 4 * skd_cluster_role{{role="standby"{0}}}'
)
"""The numbers of core.model.Role; `{0}` are more matchers."""


def target(letter: str, legend: str, expr: str, *, instant: bool = False) -> prometheus.Dataquery:
    """Return one query. A legend of `{{label}}` is filled in by Grafana."""
    query = prometheus.Dataquery().expr(expr).legend_format(legend).datasource(SOURCE)
    query.ref_id(letter)
    return query.instant() if instant else query.range().format(PromQueryFormat.TIME_SERIES)


def mapped(words: Mapping[str, tuple[str, str]]) -> list[ValueMap | RangeMap | RegexMap | SpecialValueMap]:
    """Return words and colours for numbers."""
    return [ValueMap({value: ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()})]


def thresholds(*steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return colours from values on; below the first it is green."""
    found = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def number(
    title: str,
    about: str,
    queries: Queries,
    words: Mapping[str, tuple[str, str]] | None = None,
    *,
    unit: str = "",
    bad: str = "",
) -> stat.Panel:
    """Return what is true now, large and coloured. `bad` is the colour from 1 on, where 0 is as it should be."""
    panel = (
        stat.Panel().title(title).description(about).datasource(SOURCE).color_mode(kinds.BigValueColorMode.BACKGROUND)
    )
    panel.graph_mode(kinds.BigValueGraphMode.NONE).text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)
    panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    panel.no_value("no metrics")
    if words:
        panel.mappings(mapped(words))
    panel.thresholds(thresholds(*([(1, bad)] if bad else [])))
    if unit:
        panel.unit(unit)
    for letter, (legend, expr) in zip(LETTERS, queries.items(), strict=False):
        panel.with_target(target(letter, legend, expr, instant=True))
    return panel


def timeline(title: str, about: str, queries: Queries, words: Mapping[str, tuple[str, str]]) -> statetimeline.Panel:
    """Return states over time, a line each."""
    panel = statetimeline.Panel().title(title).description(about).datasource(SOURCE).mappings(mapped(words))
    panel.merge_values(True).show_value(kinds.VisibilityMode.AUTO)
    for letter, (legend, expr) in zip(LETTERS, queries.items(), strict=False):
        panel.with_target(target(letter, legend, expr))
    return panel


def graph(title: str, about: str, queries: Queries, unit: str = "short") -> timeseries.Panel:
    """Return numbers over time."""
    panel = timeseries.Panel().title(title).description(about).datasource(SOURCE).unit(unit).min(0).fill_opacity(10)
    panel.show_points(kinds.VisibilityMode.NEVER)
    for letter, (legend, expr) in zip(LETTERS, queries.items(), strict=False):
        panel.with_target(target(letter, legend, expr))
    return panel


Panel = stat.Panel | statetimeline.Panel | timeseries.Panel
Row = tuple[str, int, Sequence[Panel]]
"""A heading, the height, and the panels that share the width."""


def page(title: str, uid: str, about: str, rows: Sequence[Row]) -> dashboard.Dashboard:
    """Return a dashboard with a choice of the data source; the rows from the top."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(about)
        .tags(["skd-cluster"])
        .refresh("10s")
        .time("now-1h", "now")
    )
    made.tooltip(DashboardCursorSync.CROSSHAIR).readonly()
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    y, numbers = 0, itertools.count(1)
    for heading, height, panels in rows:
        made.with_row(dashboard.Row(heading).id(next(numbers)).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=y)))
        width = WIDTH // len(panels)
        for column, panel in enumerate(panels):
            made.with_panel(panel.id(next(numbers)).grid_pos(GridPos(h=height, w=width, x=column * width, y=y + 1)))
        y += 1 + height
    return made


def choice_of_pairs() -> dashboard.QueryVariable:
    """Return the variable `pair`, filled with what is scraped."""
    choice = dashboard.QueryVariable("pair").label("Pair").datasource(SOURCE)
    return choice.query("label_values(skd_cluster_pair_info, pair)").refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
