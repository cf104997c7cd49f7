"""Hypothesis drives the world's verbs and shrinks what breaks an invariant to a short story."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from skd_cluster.core.model import Role
from skd_cluster.simulation.histories import mend
from skd_cluster.simulation.node import Setup
from skd_cluster.simulation.world import World

SETUPS = (
    (Setup(), Setup()),
    (Setup(dead_ratio=6), Setup(dead_ratio=6)),
    (Setup(interval=0.05), Setup(probing=True)),
    (Setup(priority=120, preempt=True, preempt_delay=0.5), Setup()),
    (Setup(dead_ratio=2), Setup(interval=0.1, dead_ratio=4)),
)

VERBS = [
    "crash",
    "kill",
    "stop",
    "fault",
    "clear",
    "standby",
    "online",
    "refuse",
    "accept",
    "blind",
    "see",
    "flap",
    "spoof",
    "replay",
]
names = st.sampled_from("ab")
shares = st.sampled_from((0.1, 0.5, 0.9))


class Pair(RuleBasedStateMachine):
    """The monitor judges after every step; the end must settle."""

    world: World

    @initialize(setup=st.sampled_from(SETUPS), seed=st.integers(0, 1000), pair=st.booleans(), paths=st.integers(1, 2))
    def begin(self, setup: tuple, seed: int, paths: int, *, pair: bool) -> None:
        self.drawn = setup
        self.world = World(*setup, seed=seed, pair=pair, paths=paths)

    @rule(span=st.sampled_from((0.0005, 0.001, 0.1, 0.2, 0.45, 0.7, 2.5)))
    def run(self, span: float) -> None:
        self.world.run(span)

    @rule(name=names, present=st.booleans(), standby=st.booleans())
    def start(self, name: str, *, present: bool, standby: bool) -> None:
        self.world.start(name, present=present and not self.world.nodes[name].runs, standby=standby)

    @rule(name=names, how=st.sampled_from(VERBS))
    def order(self, name: str, how: str) -> None:
        getattr(self.world, how)(name)

    @rule(name=names, force=st.booleans())
    def failover(self, name: str, *, force: bool) -> None:
        self.world.failover(name, force=force)

    @rule(name=names, like=names, priority=st.sampled_from((100, 120)), preempt=st.booleans())
    def retune(self, name: str, like: str, priority: int, *, preempt: bool) -> None:
        """Within the settings that the bounds are made from."""
        now, model = self.world.now, self.drawn["ab".index(like)]
        changes = {"interval": model.interval, "dead_ratio": model.dead_ratio, "probing": model.probing}
        self.world.nodes[name].retune(now, priority=priority, preempt=preempt, **changes)

    @rule(name=names, span=st.sampled_from((0.1, 0.5, 0.65, 1, 4)), lossy=st.booleans())
    def pause(self, name: str, span: float, *, lossy: bool) -> None:
        self.world.pause(name, span, lossy=lossy)

    @rule(how=st.sampled_from(("lose", "duplicate", "corrupt")), share=shares)
    def spoil(self, how: str, share: float) -> None:
        getattr(self.world, how)(share)

    @rule(most=st.sampled_from((0.0005, 0.003, 0.03)))
    def delay(self, most: float) -> None:
        self.world.delay(0.0005, most)

    @rule(one_way=st.sampled_from(("", "a->b", "b->a")), first=st.booleans())
    def cut(self, one_way: str, *, first: bool) -> None:
        self.world.cut(one_way=one_way, path=0 if first else None)

    @rule()
    def heal(self) -> None:
        self.world.heal()

    @precondition(lambda self: hasattr(self, "world") and Role.MASTER in (self.world.a.role, self.world.b.role))
    @rule(replicate=st.booleans())
    def edit(self, *, replicate: bool) -> None:
        self.world.edit("a" if self.world.a.role is Role.MASTER else "b")
        if replicate:
            self.world.replicate()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            mend(self.world)
            self.world.monitor.settle()


TestPair = Pair.TestCase
# A fifth of the profile's examples: each is a story of thirty steps.
TestPair.settings = settings(max_examples=settings().max_examples // 5, stateful_step_count=30)
