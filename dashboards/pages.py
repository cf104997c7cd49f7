"""The two dashboards: one pair, for the person at three in the morning; all pairs, for everybody else."""

from dashboards.panels import ROLE, ROLES, YES_NO, choice_of_pairs, graph, number, page, timeline

_OF = ' * on (job, instance) group_left (pair, node) skd_cluster_pair_info{pair="$pair"}'
"""Only nodes of the chosen pair, with their names."""

_NODE = "{{node}}"


def _own(expr: str) -> str:
    return f"({expr}){_OF}"


def _quantile(share: float, histogram: str) -> str:
    inner = f"sum by (job, instance, le) (rate(skd_cluster_{histogram}_bucket[$__rate_interval]))"
    return _own(f"histogram_quantile({share}, {inner})")


def _changes(name: str) -> str:
    return _own(f"increase(skd_cluster_{name}_total[$__rate_interval])")


_READY = "skd_cluster_peer_up * skd_cluster_peer_hears_us * on (job, instance) skd_cluster_replication_in_sync"
_FAULTS = "skd_cluster_fault and max_over_time(skd_cluster_fault[$__range]) > 0"
"""Only those that were on within the time shown: there are many that never are."""
_NOW = (
    number("Role", "Who is master. Exactly one node should be.", {_NODE: _own(ROLE.format(""))}, ROLES),
    number(
        "The other could take over now",
        "As each node sees it: the peer is heard, hears this node, and has the same configuration.",
        {_NODE: _own(_READY)},
        YES_NO,
    ),
    number(
        "Faults",
        "What keeps a node from being master; `skd-cluster status` has the sentence.",
        {_NODE: _own("sum by (job, instance) (skd_cluster_fault)")},
        {"0": ("none", "green"), **{str(count): (f"{count}, see status", "red") for count in range(1, 8)}},
    ),
    number(
        "Has that role since",
        "How long ago it changed; why is in the rows below, and in `skd-cluster status`.",
        {_NODE: _own("skd_cluster_role_age_seconds")},
        unit="s",
    ),
)
_ROLES = (
    timeline("Roles", "Every change of role within the time shown.", {_NODE: _own(ROLE.format(""))}, ROLES),
    graph(
        "Why roles changed",
        "Changes of role by the new role and the reason; the same words as in `skd-cluster status` and the journal.",
        {"{{node}} {{to}}: {{reason}}": _own("increase(skd_cluster_failovers_total[$__rate_interval]) > 0")},
    ),
)
_ADDRESSES = (
    timeline(
        "Floating addresses",
        "Each held by one node.",
        {"{{node}} {{address}}": _own("skd_cluster_address_held")},
        {"1": ("held", "green"), "0": ("no", "#3d3d3d")},
    ),
    timeline(
        "Faults and checks",
        "A line for each fault, from when it was on for the first time, and for each health check.",
        {
            "{{node}} {{fault}}": _own(_FAULTS),
            "{{node}} check {{check}}": _own("1 - skd_cluster_check_healthy"),
        },
        {"0": ("well", "green"), "1": ("BAD", "red")},
    ),
)
_REPLICATION = (
    timeline(
        "In sync",
        "Whether both nodes are known to hold the same tree.",
        {_NODE: _own("skd_cluster_replication_in_sync")},
        YES_NO,
    ),
    graph(
        "From a change to the peer's confirmation",
        "Median and 99th percentile.",
        {
            "{{node}} median": _quantile(0.5, "replication_lag_seconds"),
            "{{node}} p99": _quantile(0.99, "replication_lag_seconds"),
            "{{node}} oldest that waits": _own("skd_cluster_replication_oldest_pending_seconds"),
        },
        "s",
    ),
    graph("Batches sent", "By how they ended.", {"{{node}} {{result}}": _changes("replication_runs")}),
    graph("Conflicts that wait", "For somebody to decide.", {_NODE: _own("skd_cluster_conflicts")}),
)
_PACE = (
    graph(
        "Jitter of the peer's advertisements",
        "How far they were off the sender's interval.",
        {
            "{{node}} median": _quantile(0.5, "advertisement_jitter_seconds"),
            "{{node}} p99": _quantile(0.99, "advertisement_jitter_seconds"),
        },
        "s",
    ),
    graph(
        "Lateness of the elector",
        "How late its loop woke up: what the host does to it.",
        {"{{node}} p99": _quantile(0.99, "elector_lateness_seconds")},
        "s",
    ),
    graph(
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
)
_SERVICE = (
    graph("Hooks that failed", "By hook.", {"{{node}} {{hook}}": _changes("hook_failures")}),
    graph(
        "Strangers",
        "Logins that the pair's key was refused, and claims of others to a floating address.",
        {"{{node}} refused logins": _changes("gate_refusals"), "{{node}} foreign ARP": _changes("foreign_arp")},
    ),
    graph(
        "Takeovers",
        "How long the last ones took, from the last word of the lost master to all addresses held: mean.",
        {
            _NODE: _own(
                "increase(skd_cluster_takeover_seconds_sum[$__rate_interval])"
                " / (increase(skd_cluster_takeover_seconds_count[$__rate_interval]) > 0)"
            )
        },
        "s",
    ),
)

PAIR = page(
    "skd-cluster: pair",
    "skd-cluster-pair",
    "Which node is master, whether the other could take over right now, and what happened.",
    (
        ("Now", 4, _NOW),
        ("Roles", 7, _ROLES),
        ("Addresses, faults", 7, _ADDRESSES),
        ("Replication", 7, _REPLICATION),
        ("Election", 7, _PACE),
        ("Service", 7, _SERVICE),
    ),
).with_variable(choice_of_pairs())

_ALL = " * on (job, instance) group_left (pair, node) skd_cluster_pair_info"
FLEET = page(
    "skd-cluster: fleet",
    "skd-cluster-fleet",
    "All pairs: which of them need somebody.",
    (
        (
            "Now",
            4,
            (
                number("Pairs", "That are scraped.", {"pairs": "count(count by (pair) (skd_cluster_pair_info))"}),
                number(
                    "Without a master",
                    "Their users get no answer.",
                    {"pairs": f'count(sum by (pair) (skd_cluster_role{{role="master"}}{_ALL}) == 0) or vector(0)'},
                    bad="red",
                ),
                number(
                    "With two masters",
                    "Their nodes do not hear each other.",
                    {"pairs": f'count(sum by (pair) (skd_cluster_role{{role="master"}}{_ALL}) > 1) or vector(0)'},
                    bad="red",
                ),
                number(
                    "Nobody could take over",
                    "No backup that hears the master and is heard.",
                    {
                        "pairs": 'count(sum by (pair) (skd_cluster_role{role="backup"}'
                        " * on (job, instance) skd_cluster_peer_up * on (job, instance) skd_cluster_peer_hears_us"
                        " * on (job, instance) group_left (pair) skd_cluster_pair_info) == 0) or vector(0)"
                    },
                    bad="red",
                ),
                number(
                    "Not in sync",
                    "Masters whose peer has other configuration, or has not confirmed.",
                    {
                        "pairs": 'count(skd_cluster_role{role="master"} == 1 and on (job, instance)'
                        " skd_cluster_replication_in_sync == 0) or vector(0)"
                    },
                    bad="red",
                ),
                number(
                    "Conflicts that wait",
                    "On all pairs.",
                    {"conflicts": "sum(max by (pair) (skd_cluster_conflicts" + _ALL + "))"},
                    bad="yellow",
                ),
            ),
        ),
        (
            "Roles",
            10,
            (timeline("Roles", "A line for each node.", {"{{pair}} {{node}}": f"({ROLE.format('')}){_ALL}"}, ROLES),),
        ),
        (
            "What happened",
            8,
            (
                graph(
                    "Failovers",
                    "Changes of mastership, by pair.",
                    {
                        "{{pair}}": f'sum by (pair) (increase(skd_cluster_failovers_total{{to="master"}}[$__rate_interval]){_ALL})'
                    },
                ),
                graph(
                    "Lateness of electors, p99",
                    "What their hosts do to them.",
                    {
                        "{{pair}} {{node}}": "histogram_quantile(0.99, sum by (job, instance, le)"
                        f" (rate(skd_cluster_elector_lateness_seconds_bucket[$__rate_interval]))){_ALL}"
                    },
                    "s",
                ),
                timeline(
                    "Versions",
                    "Of the service, by node.",
                    {"{{node}} {{version}}": f"skd_cluster_build_info{_ALL}"},
                    {"1": ("runs", "blue")},
                ),
            ),
        ),
    ),
)

PAGES = {"pair.json": PAIR, "fleet.json": FLEET}
"""By the name of the file."""
