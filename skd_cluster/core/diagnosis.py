"""What `skd-cluster doctor` finds: facts of both nodes in, findings out. The rules are in the modules beside this one."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

from skd_cluster.core.diagnosis_facts import NodeFacts


@unique
class State(StrEnum):
    """How well it is. In `--json`: add but never rename."""

    OK = "ok"
    WARNING = "warning"  # works, but not as well or not for as long as it should
    PROBLEM = "problem"
    NOT_APPLICABLE = "not_applicable"  # does not concern this node, or could not be found out


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a rule says: the evidence in one line, and the command that mends it. `at`: where to type that, if elsewhere."""

    state: State
    evidence: str
    remedy: str = ""
    at: str = ""


def ok(evidence: str) -> Verdict:
    """Say that all is well."""
    return Verdict(State.OK, evidence)


def warning(evidence: str, remedy: str, at: str = "") -> Verdict:
    """Say that it works, so far."""
    return Verdict(State.WARNING, evidence, remedy, at)


def problem(evidence: str, remedy: str, at: str = "") -> Verdict:
    """Say that it does not work, or will not when it is needed."""
    return Verdict(State.PROBLEM, evidence, remedy, at)


def beside(evidence: str) -> Verdict:
    """Say that it does not concern this node, or could not be found out."""
    return Verdict(State.NOT_APPLICABLE, evidence)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `remedy` is to be typed on `node`."""

    item: str
    node: str
    state: State
    evidence: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class NodeRule:
    """Looks at one node. `about` says in the manual what it looks at and why that matters."""

    name: str
    about: str
    check: Callable[[NodeFacts], Iterable[Verdict]]


@dataclass(frozen=True, slots=True)
class PairRule:
    """Looks at both nodes together, the asking one first."""

    name: str
    about: str
    check: Callable[[NodeFacts, NodeFacts], Iterable[Verdict]]


Rule = NodeRule | PairRule


def diagnose(rules: Sequence[Rule], ours: NodeFacts, theirs: NodeFacts | None) -> list[Finding]:
    """Return what every rule says of both nodes; without facts of the peer, of this one."""
    return [finding for rule in rules for finding in _findings(rule, ours, theirs)]


def _findings(rule: Rule, ours: NodeFacts, theirs: NodeFacts | None) -> Iterator[Finding]:
    match rule:
        case NodeRule(name, _, check):
            for facts in (ours,) if theirs is None else (ours, theirs):
                yield from _told(name, facts.node, lambda facts=facts: check(facts))  # type: ignore[misc]
        case PairRule(name, _, both):  # pragma: no branch -- mypy proves that these are all
            if theirs is None:
                yield Finding(name, ours.node, State.NOT_APPLICABLE, "the peer could not be asked")
            else:
                yield from _told(name, ours.node, lambda: both(ours, theirs))


def _told(name: str, node: str, judged: Callable[[], Iterable[Verdict]]) -> Iterator[Finding]:
    try:
        verdicts = list(judged())
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        # The peer's facts came over the wire: another release may mean something else by them.
        verdicts = [beside(f"the facts are not understood: {type(error).__name__}")]
    for one in verdicts:
        yield Finding(name, one.at or node, one.state, one.evidence, one.remedy)


def worst(findings: Iterable[Finding]) -> State:
    """Return the worst state of all."""
    order = (State.PROBLEM, State.WARNING, State.OK)
    found = {one.state for one in findings}
    return next((state for state in order if state in found), State.OK)
