"""The two dashboards: one pair, for the person at three in the morning; all pairs, for everybody else."""

from dashboards.fleet import FLEET
from dashboards.pair import PAIR

PAGES = {"pair.json": PAIR, "fleet.json": FLEET}
"""By the name of the file."""
