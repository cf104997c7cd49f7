"""The dashboard of all pairs, the wrong ones first."""

from dashboards.layout import RUNBOOKS, page, typed, way
from dashboards.panels import Columns, Panels, Words, graph, jump, listing, number, timeline

_ALL = " * on (job, instance) group_left (pair, node) skd_cluster_pair_info"
_INFO = "skd_cluster_pair_info"


def _by_pair(how: str, expr: str) -> str:
    return f"{how} by (pair) ({expr} * on (job, instance) group_left (pair) {_INFO})"


_NODES = f"count by (pair) ({_INFO})"
_SEEN = f"count by (pair) (last_over_time({_INFO}[$__range]))"
"""The nodes that had metrics within the time shown: those of a pair that is off too."""
_MASTERS = _by_pair("sum", 'skd_cluster_role{role="master"}')
_READY = _by_pair(
    "sum",
    'skd_cluster_role{role="backup"} * on (job, instance) skd_cluster_peer_up'
    " * on (job, instance) skd_cluster_peer_hears_us",
)
_IN_SYNC = _by_pair("sum", 'skd_cluster_role{role="master"} * on (job, instance) skd_cluster_replication_in_sync')
_FAULTS = _by_pair("sum", "sum by (job, instance) (skd_cluster_fault)")
_CONFLICTS = _by_pair("max", "skd_cluster_conflicts")
_CHANGES = _by_pair("sum", 'sum by (job, instance) (increase(skd_cluster_failovers_total{to="master"}[1h]))')

_STATE: Words = {
    "4": ("no metrics", "red"),
    "3": ("users are hit", "red"),
    "2": ("no backup", "orange"),
    "1": ("look at it", "yellow"),
    "0": ("well", "green"),
}
_WRONG = " or ".join(
    (
        f"({_SEEN} unless {_NODES}) * 0 + 4",
        f"({_MASTERS} != 1) * 0 + 3",
        f"({_READY} == 0) * 0 + 2",
        f"({_IN_SYNC} == 0) * 0 + 1",
        f"({_FAULTS} > 0) * 0 + 1",
        f"({_CONFLICTS} > 0) * 0 + 1",
    )
)
"""The worst that is true of each pair, by the numbers of `_STATE`; nothing of those that are well."""


_COLUMNS: Columns = {
    "State": (f"{_WRONG} or {_NODES} * 0", _STATE),
    "Nodes": (f"{_NODES} or {_SEEN} * 0", {"1": ("1", "orange"), "0": ("0", "red")}),
    "Masters": (_MASTERS, {"0": ("0", "red"), "2": ("2", "red")}),
    "Ready backups": (_READY, {"0": ("0", "orange")}),
    "In sync": (f"{_IN_SYNC} > bool 0", {"1": ("yes", "green"), "0": ("NO", "yellow")}),
    "Faults": (_FAULTS, "yellow"),
    "Conflicts": (_CONFLICTS, "yellow"),
    "Takeovers, 1 h": (f"round({_CHANGES})", ""),
}
_TO_PAIR = "/d/skd-cluster-pair?var-datasource=${datasource}&var-pair=%s&${__url_time_range}"
_FROM_ROW = jump("This pair", _TO_PAIR % "${__value.raw}")
_FROM_LINE = jump("This pair", _TO_PAIR % "${__field.labels.pair}")


_NOW: Panels = {
    11: number("Pairs", "That are scraped.", {"pairs": f"count({_NODES})"}),
    12: number(
        "No metrics",
        "Pairs that had some within the time shown. They are off, or Prometheus cannot reach them.",
        {"pairs": f"count({_SEEN} unless {_NODES}) or vector(0)"},
        bad="red",
    ),
    13: number(
        "No master",
        "Their users get no answer.",
        {"pairs": f"count({_MASTERS} == 0) or vector(0)"},
        bad="red",
    ),
    14: number(
        "Two masters",
        "Their nodes do not hear each other.",
        {"pairs": f"count({_MASTERS} > 1) or vector(0)"},
        bad="red",
    ),
    15: number(
        "No ready backup",
        "Nobody could take over: no backup that hears the master and is heard.",
        {"pairs": f"count({_READY} == 0) or vector(0)"},
        bad="red",
    ),
    16: number(
        "Not in sync",
        "Masters whose peer has other configuration, or has not confirmed.",
        {
            "pairs": 'count(skd_cluster_role{role="master"} == 1 and on (job, instance)'
            " skd_cluster_replication_in_sync == 0) or vector(0)"
        },
        bad="red",
    ),
    17: number(
        "Faults",
        "Pairs with a node that could not be master.",
        {"pairs": f"count({_FAULTS} > 0) or vector(0)"},
        bad="yellow",
    ),
    18: number("Conflicts", "That wait, on all pairs.", {"conflicts": f"sum({_CONFLICTS})"}, bad="yellow"),
}
_PAIRS: Panels = {
    21: listing(
        "Pairs",
        "All of them, the wrong ones first. A click on one leads to its own page.",
        "pair",
        _COLUMNS,
        "State",
        click=_FROM_ROW,
    ),
}
_OVER_TIME: Panels = {
    31: timeline(
        "Pairs that need somebody",
        "A line for each pair that did within the time shown, while it did.",
        {"{{pair}}": _WRONG},
        _STATE,
        click=_FROM_LINE,
        none="none",
    ),
}
_HAPPENED: Panels = {
    41: graph(
        "Takeovers",
        "Changes of mastership, by pair: of those that have any.",
        {"{{pair}}": _by_pair("sum", 'increase(skd_cluster_failovers_total{to="master"}[$__rate_interval])') + " > 0"},
        click=_FROM_LINE,
    ),
    42: graph(
        "The latest electors, p99",
        "What their hosts do to them: the ten that are worst at each time.",
        {
            "{{pair}} {{node}}": "topk(10, histogram_quantile(0.99, sum by (job, instance, le)"
            f" (rate(skd_cluster_elector_lateness_seconds_bucket[$__rate_interval])))){_ALL}"
        },
        "s",
        click=_FROM_LINE,
    ),
    43: graph("Versions", "Nodes that run each.", {"{{version}}": "count by (version) (skd_cluster_build_info)"}),
}

ALERTS = {"SkdClusterPairMissing": 12}
"""By the number of the panel that shows what it is about; all others are about one pair, on its page."""

FLEET = (
    page(
        "skd-cluster: fleet",
        "skd-cluster-fleet",
        "All pairs: which of them need somebody.",
        (
            (10, "Now", 4, _NOW),
            (20, "Pairs, the wrong ones first", 12, _PAIRS),
            (30, "Over time", 8, _OVER_TIME),
            (40, "What happened", 8, _HAPPENED),
        ),
        ALERTS,
    )
    .with_variable(typed("runbooks", "Runbooks", RUNBOOKS))
    .link(way("One pair", "skd-cluster-pair"))
)
