"""The dashboard of one pair."""

from grafana_foundation_sdk.builders import dashboard

from dashboards.layout import RUNBOOKS, Marks, choice, page, some_of, typed, way
from dashboards.panels import ROLE, ROLES, YES_NO, Panels, graph, heat, journal, number, timeline

_OF = ' * on (job, instance) group_left (pair, node) skd_cluster_pair_info{pair="$pair", node=~"$node"}'
"""Only the chosen nodes of the chosen pair, with their names."""

_NODE = "{{node}}"


def _own(expr: str) -> str:
    return f"({expr}){_OF}"


def _quantile(share: float, histogram: str) -> str:
    inner = f"sum by (job, instance, le) (rate(skd_cluster_{histogram}_bucket[$__rate_interval]))"
    return _own(f"histogram_quantile({share}, {inner})")


def _mean(histogram: str) -> str:
    name = f"skd_cluster_{histogram}"
    return _own(
        f"increase({name}_sum[$__rate_interval]) / (increase({name}_count[$__rate_interval]) > 0)",
    )


def _changes(name: str) -> str:
    return _own(f"increase(skd_cluster_{name}_total[$__rate_interval])")


_READY = "skd_cluster_peer_up * skd_cluster_peer_hears_us * on (job, instance) skd_cluster_replication_in_sync"
_FAULTS = "skd_cluster_fault and max_over_time(skd_cluster_fault[$__range]) > 0"
"""Only those that were on within the time shown: there are many that never are."""
_ROLE_CHANGES = _own("increase(skd_cluster_failovers_total[$__rate_interval]) > 0")
_MASTERS = (
    'sum by (pair) (skd_cluster_role{role="master"}'
    ' * on (job, instance) group_left (pair) skd_cluster_pair_info{pair="$pair"})'
)
"""Of the pair, whichever of its nodes are chosen."""
_LOST = "increase(skd_cluster_advertisements_lost_total[$__rate_interval])"
_CAME = "increase(skd_cluster_advertisements_received_total[$__rate_interval])"

_NOW: Panels = {
    11: number("Role", "Who is master. Exactly one node should be.", {_NODE: _own(ROLE.format(""))}, ROLES),
    12: number(
        "The other could take over now",
        "As each node sees it: the peer is heard, hears this node, and has the same configuration.",
        {_NODE: _own(_READY)},
        YES_NO,
    ),
    13: number(
        "Faults",
        "What keeps a node from being master; `skd-cluster status` has the sentence.",
        {_NODE: _own("sum by (job, instance) (skd_cluster_fault)")},
        {"0": ("none", "green"), **{str(count): (f"{count}, see status", "red") for count in range(1, 8)}},
    ),
    14: number(
        "Has that role since",
        "How long ago it changed; why is in the rows below, and in `skd-cluster status`.",
        {_NODE: _own("skd_cluster_role_age_seconds")},
        unit="s",
    ),
}
_ROLES: Panels = {
    21: timeline(
        "Masters",
        "How many nodes of the pair are master, as far as they are scraped. One is right.",
        {"masters": _MASTERS},
        {"0": ("NONE", "red"), "1": ("one", "green"), "2": ("TWO", "red")},
    ),
    22: timeline("Roles", "Every change of role within the time shown.", {_NODE: _own(ROLE.format(""))}, ROLES),
    23: graph(
        "Why roles changed",
        "Changes of role by the new role and the reason; the same words as in `skd-cluster status` and the journal.",
        {"{{node}} {{to}}: {{reason}}": _ROLE_CHANGES},
    ),
}
_SERVICE: Panels = {
    31: timeline(
        "Floating addresses",
        "Each held by one node.",
        {"{{node}} {{address}}": _own("skd_cluster_address_held")},
        {"1": ("held", "green"), "0": ("no", "#3d3d3d")},
    ),
    32: timeline(
        "Faults and checks",
        "A line for each fault, from when it was on for the first time, and for each health check.",
        {
            "{{node}} {{fault}}": _own(_FAULTS),
            "{{node}} check {{check}}": _own("1 - skd_cluster_check_healthy"),
        },
        {"0": ("well", "green"), "1": ("BAD", "red")},
    ),
    33: graph(
        "Takeovers",
        "How long they took, on average: from the last word of the lost master to all addresses held; and how long the gateway"
        " took to answer after the last one, 0 where it did not.",
        {_NODE: _mean("takeover_seconds"), "{{node}} gateway": _own("skd_cluster_takeover_confirmed_seconds")},
        "s",
    ),
}
_REPLICATION: Panels = {
    41: timeline(
        "In sync",
        "Whether both nodes are known to hold the same tree.",
        {_NODE: _own("skd_cluster_replication_in_sync")},
        YES_NO,
    ),
    42: graph(
        "From a change to the peer's confirmation",
        "Median and 99th percentile.",
        {
            "{{node}} median": _quantile(0.5, "replication_lag_seconds"),
            "{{node}} p99": _quantile(0.99, "replication_lag_seconds"),
            "{{node}} oldest that waits": _own("skd_cluster_replication_oldest_pending_seconds"),
        },
        "s",
    ),
    43: graph(
        "Changes that wait",
        "Paths that the peer has not confirmed, as far as known.",
        {_NODE: _own("skd_cluster_replication_pending")},
    ),
    44: graph("Batches sent", "By how they ended.", {"{{node}} {{result}}": _changes("replication_runs")}),
}
_KEPT: Panels = {
    51: graph(
        "History",
        "Generations that are kept, on each node: what `skd-cluster history` can bring back.",
        {_NODE: _own("skd_cluster_history_generations")},
    ),
    52: graph("Conflicts that wait", "For somebody to decide.", {_NODE: _own("skd_cluster_conflicts")}),
    53: graph(
        "Strangers",
        "Logins that the pair's key was refused, and claims of others to a floating address.",
        {"{{node}} refused logins": _changes("gate_refusals"), "{{node}} foreign ARP": _changes("foreign_arp")},
    ),
}
_PACE: Panels = {
    61: heat(
        "Jitter of the peer's advertisements",
        "How far they were off the sender's interval, and how many: of the chosen nodes together.",
        "sum by (le) (" + _own("increase(skd_cluster_advertisement_jitter_seconds_bucket[$__rate_interval])") + ")",
        "s",
    ),
    62: graph(
        "Loss",
        "Share of the peer's packets that did not come, by their numbers. A gap while nothing is heard: what was lost meanwhile is"
        " counted as soon as something is. Of CARP and VRRP only the packets beside them are counted.",
        {_NODE: _own(f"{_LOST} / ({_LOST} + {_CAME} > 0)")},
        "percentunit",
    ),
    63: graph(
        "Lateness of the elector",
        "How late its loop woke up: what the host does to it.",
        {"{{node}} p99": _quantile(0.99, "elector_lateness_seconds")},
        "s",
    ),
    64: graph(
        "Advertisements",
        "A second.",
        {
            "{{node}} sent": _own("rate(skd_cluster_advertisements_sent_total[$__rate_interval])"),
            "{{node}} received": _own("rate(skd_cluster_advertisements_received_total[$__rate_interval])"),
            "{{node}} dropped: {{reason}}": _own(
                "rate(skd_cluster_advertisements_dropped_total[$__rate_interval]) > 0"
            ),
        },
        "pps",
    ),
}
_HOOKS: Panels = {
    71: graph("Hooks", "How long they ran, on average.", {"{{node}} {{hook}}": _mean("hook_duration_seconds")}, "s"),
    72: graph("Hooks that failed", "Or took too long, by hook.", {"{{node}} {{hook}}": _changes("hook_failures")}),
}
_JOURNAL: Panels = {
    81: journal(
        "Journal",
        "What the service wrote on the chosen nodes, by `SKD_EVENT`. It comes from Loki, as monitoring.md says.",
        '{unit="skudonet-ce-cluster.service", node=~"$node"}'
        ' | json event="SKD_EVENT", text="MESSAGE" | event=~"$event" | line_format "{{.node}} {{.event}}: {{.text}}"',
    ),
}

ALERTS = {
    "SkdClusterNoMaster": 11,
    "SkdClusterBackupNotReady": 12,
    "SkdClusterFault": 13,
    "SkdClusterStandby": 14,
    "SkdClusterRestarting": 14,
    "SkdClusterTwoMasters": 21,
    "SkdClusterNodeMissing": 22,
    "SkdClusterFlapping": 23,
    "SkdClusterCheckFailing": 32,
    "SkdClusterReloadFailed": 32,
    "SkdClusterNotInSync": 41,
    "SkdClusterReplicationFailing": 44,
    "SkdClusterConflict": 52,
    "SkdClusterForeignArp": 53,
    "SkdClusterGateRefused": 53,
    "SkdClusterElectorLate": 63,
    "SkdClusterNotRealtime": 63,
    "SkdClusterBadKey": 64,
    "SkdClusterHookFailing": 72,
}
"""By the number of the panel that shows what it is about."""

PAIR = (
    page(
        "skd-cluster: pair",
        "skd-cluster-pair",
        "Which node is master, whether the other could take over right now, and what happened.",
        (
            (10, "Now", 4, _NOW),
            (20, "Roles", 7, _ROLES),
            (30, "Addresses, faults, takeovers", 7, _SERVICE),
            (40, "Replication", 7, _REPLICATION),
            (50, "What is kept, and who else asks", 7, _KEPT),
            (60, "Election", 8, _PACE),
            (70, "Hooks", 7, _HOOKS),
            (80, "Journal", 10, _JOURNAL),
        ),
        ALERTS,
    )
    .with_variable(choice("pair", "Pair", "label_values(skd_cluster_pair_info, pair)"))
    .with_variable(some_of("node", "Node", 'label_values(skd_cluster_pair_info{pair="$pair"}, node)'))
    .with_variable(dashboard.DatasourceVariable("logs").label("Logs").type("loki"))
    .with_variable(typed("event", "SKD_EVENT", ".+"))
    .with_variable(typed("runbooks", "Runbooks", RUNBOOKS))
    .annotation(Marks("Role changes", _ROLE_CHANGES, "{{node}} is {{to}}", "{{reason}}"))
    .link(way("All pairs", "skd-cluster-fleet"))
)
