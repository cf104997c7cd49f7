"""How our panels look: few kinds, the same colours for the same things everywhere."""

from collections.abc import Mapping

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    heatmap,
    logs,
    loki,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models.dashboard import (
    DashboardLinkType,
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    RangeMap,
    RegexMap,
    SpecialValueMap,
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
JOURNAL = DataSourceRef(type_val="loki", uid="${logs}")

LETTERS = "ABCDEFGH"

Queries = Mapping[str, str]
"""PromQL by legend."""
Words = Mapping[str, tuple[str, str]]
"""A word and its colour by the number."""
Columns = Mapping[str, tuple[str, Words | str]]
"""PromQL by heading, with the words for its numbers, or the colour from 1 on where 0 is as it should be."""

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


def mapped(words: Words) -> list[ValueMap | RangeMap | RegexMap | SpecialValueMap]:
    """Return words and colours for numbers."""
    return [ValueMap({value: ValueMappingResult(text=text, color=color) for value, (text, color) in words.items()})]


def thresholds(*steps: tuple[float, str]) -> dashboard.ThresholdsConfig:
    """Return colours from values on; below the first it is green."""
    found = [Threshold(value=None, color="green"), *(Threshold(value=value, color=color) for value, color in steps)]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def jump(title: str, url: str) -> dashboard.DashboardLink:
    """Return a way from what is shown, by a click, to another page."""
    return dashboard.DashboardLink(title).type(DashboardLinkType.LINK).url(url)


def number(
    title: str,
    about: str,
    queries: Queries,
    words: Words | None = None,
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


def timeline(
    title: str,
    about: str,
    queries: Queries,
    words: Words,
    *,
    click: dashboard.DashboardLink | None = None,
    none: str = "",
) -> statetimeline.Panel:
    """Return states over time, a line each. `none` is what is said where there are none."""
    panel = statetimeline.Panel().title(title).description(about).datasource(SOURCE).mappings(mapped(words))
    panel.merge_values(True).show_value(kinds.VisibilityMode.AUTO)
    if click:
        panel.data_links([click])
    if none:
        panel.no_value(none)
    for letter, (legend, expr) in zip(LETTERS, queries.items(), strict=False):
        panel.with_target(target(letter, legend, expr))
    return panel


def graph(
    title: str, about: str, queries: Queries, unit: str = "short", *, click: dashboard.DashboardLink | None = None
) -> timeseries.Panel:
    """Return numbers over time."""
    panel = timeseries.Panel().title(title).description(about).datasource(SOURCE).unit(unit).min(0).fill_opacity(10)
    panel.show_points(kinds.VisibilityMode.NEVER)
    if click:
        panel.data_links([click])
    for letter, (legend, expr) in zip(LETTERS, queries.items(), strict=False):
        panel.with_target(target(letter, legend, expr))
    return panel


def heat(title: str, about: str, expr: str, unit: str) -> heatmap.Panel:
    """Return how often which values were seen over time, of a histogram's buckets by `le`."""
    panel = heatmap.Panel().title(title).description(about).datasource(SOURCE).calculate(False).cell_gap(1)
    panel.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64).exponent(0.5))
    panel.filter_values(heatmap.FilterValueRange().le(1e-9))
    panel.y_axis(heatmap.YAxisConfig().unit(unit)).hide_legend().show_tooltip().show_y_histogram()
    query = target(LETTERS[0], "{{le}}", expr).format(PromQueryFormat.HEATMAP)
    return panel.with_target(query)


def listing(
    title: str,
    about: str,
    label: str,
    columns: Columns,
    worst: str,
    *,
    click: dashboard.DashboardLink,
) -> table.Panel:
    """Return a line for each value of a label, and in it a number, or its word, of each column.

    The line with the greatest number in the column `worst` is the first; `click` is where one on the label leads.
    """
    panel = table.Panel().title(title).description(about).datasource(SOURCE).show_header(True)
    names = {label: label.capitalize()}
    for letter, (name, (expr, look)) in zip(LETTERS, columns.items(), strict=False):
        panel.with_target(target(letter, f"{{{{{label}}}}}", expr, instant=True).format(PromQueryFormat.TABLE))
        names[f"Value #{letter}"] = name
        if look:
            panel.override_by_name(name, _cells(look))
    panel.override_by_name(label.capitalize(), [DynamicConfigValue("links", [click.build()])])
    panel.sort_by([common.TableSortByFieldState().display_name(worst).desc(True)])
    panel.with_transformation(DataTransformerConfig("merge", options={}))
    order = {name: place for place, name in enumerate(names)}
    tidy = {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": order}
    return panel.with_transformation(DataTransformerConfig("organize", options=tidy))


def _cells(look: Words | str) -> list[DynamicConfigValue]:
    """Return what colours the cells of a column."""
    background = DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})
    if isinstance(look, str):
        return [background, DynamicConfigValue("thresholds", thresholds((1, look)).build())]
    return [background, DynamicConfigValue("mappings", mapped(look))]


def journal(title: str, about: str, expr: str) -> logs.Panel:
    """Return lines of the journal, the newest first."""
    panel = logs.Panel().title(title).description(about).datasource(JOURNAL)
    panel.show_time(True).wrap_log_message(True).enable_log_details(True)
    panel.sort_order(kinds.LogsSortOrder.DESCENDING)
    query = loki.Dataquery().expr(expr).query_type("range").datasource(JOURNAL).ref_id(LETTERS[0])
    return panel.with_target(query)


Panel = stat.Panel | statetimeline.Panel | timeseries.Panel | heatmap.Panel | table.Panel | logs.Panel
Panels = Mapping[int, Panel]
"""By their numbers. Alerts and people's links name panels by them: one that is added gets a new number, and none ever another."""
Row = tuple[int, str, int, Panels]
"""Its own number and heading, the height, and the panels that share the width."""
