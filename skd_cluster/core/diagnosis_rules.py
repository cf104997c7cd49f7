"""All rules of `skd-cluster doctor` in the order of the report, and docs/doctor.md made from them."""

from skd_cluster.core import diagnosis_host, diagnosis_network, diagnosis_pair
from skd_cluster.core.diagnosis import NodeRule, Rule

RULES: tuple[Rule, ...] = (*diagnosis_pair.RULES, *diagnosis_network.RULES, *diagnosis_host.RULES)

BEGIN = "<!-- rules: made by skd_cluster.core.diagnosis_rules, do not edit -->"
END = "<!-- end of rules -->"


def rule_table() -> str:
    """Return the table of all rules in Markdown."""
    rows = ["| item | looks at | what it means |", "|---|---|---|"]
    rows += [
        f"| `{rule.name}` | {'each node' if isinstance(rule, NodeRule) else 'both'} | {rule.about} |" for rule in RULES
    ]
    return "\n".join(rows)


def with_table(document: str) -> str:
    """Return the document with the present table between its two marks. Raises ValueError if they are not there."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks {BEGIN} and {END} are not in the document")
    return f"{before}{BEGIN}\n{rule_table()}\n{END}{after}"
