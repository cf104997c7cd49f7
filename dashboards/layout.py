"""How a dashboard is put together: its rows, what can be chosen above them, the marks on its times, and the ways from it."""

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    DashboardCursorSync,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards.panels import SOURCE, Row, jump

WIDTH = 24
RUNBOOKS = "/usr/share/doc/skudonet-ce-cluster/runbooks.md"
"""Where they are on a node: what `runbooks` is until somebody says where they are served."""

Alerts = Mapping[str, int]
"""Each alert, by the number of the panel that shows what it is about."""


class Marks(Builder[AnnotationQuery]):
    """Marks on the times of every panel, where a query has a number above 0."""

    def __init__(self, name: str, expr: str, title: str, text: str) -> None:
        """Name them; `title` and `text` are what a mark says."""
        self._found = _Marks(name=name, datasource=SOURCE, enable=True, icon_color="purple", expr=expr)
        self._found.words = {"titleFormat": title, "textFormat": text}

    def build(self) -> AnnotationQuery:
        """Return them as Grafana has them."""
        return self._found


class _Marks(AnnotationQuery):
    """With what Prometheus' data source reads beside what the library knows of."""

    words: Mapping[str, str]

    def to_json(self) -> dict[str, object]:
        return {**super().to_json(), "step": "10s", **self.words}


def page(title: str, uid: str, about: str, rows: Sequence[Row], alerts: Alerts) -> dashboard.Dashboard:
    """Return a dashboard with a choice of the data source; the rows from the top, each panel with its alerts' runbooks."""
    made = dashboard.Dashboard(title).uid(uid).description(about).tags(["skd-cluster"])
    made.refresh("10s").time("now-1h", "now").tooltip(DashboardCursorSync.CROSSHAIR).readonly()
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
    y = 0
    for number, heading, height, panels in rows:
        made.with_row(dashboard.Row(heading).id(number).grid_pos(GridPos(h=1, w=WIDTH, x=0, y=y)))
        width = WIDTH // len(panels)
        for column, (own, panel) in enumerate(panels.items()):
            panel.id(own).grid_pos(GridPos(h=height, w=width, x=column * width, y=y + 1))
            panel.description(described(panel.build().description or "", [one for one in alerts if alerts[one] == own]))
            made.with_panel(panel)
        y += 1 + height
    return made


def described(about: str, alerts: Sequence[str]) -> str:
    """Return what a panel says of itself, with the runbooks of its alerts."""
    if not alerts:
        return about
    links = ", ".join(f"[{one}](${{runbooks}}#{one.lower()})" for one in alerts)
    return f"{about}\n\nRunbooks: {links}."


def way(title: str, uid: str, variables: str = "") -> dashboard.DashboardLink:
    """Return the link above a dashboard to another one, for the same time."""
    return jump(title, f"/d/{uid}?var-datasource=${{datasource}}{variables}").keep_time(True).icon("dashboard")


def choice(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Return a variable that is filled with what is scraped."""
    found = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(query)
    return found.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED).sort(VariableSort.ALPHABETICAL_ASC)


def some_of(name: str, label: str, query: str) -> dashboard.QueryVariable:
    """Return a variable of which several can be chosen, at first all."""
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return choice(name, label, query).multi(True).include_all(True).current(everything)


def typed(name: str, label: str, value: str) -> dashboard.TextBoxVariable:
    """Return a variable that people type, and what it is until they do."""
    found = dashboard.TextBoxVariable(name).label(label).default_value(value)
    return found.current(VariableOption(selected=True, text=value, value=value))
