"""What holds for all tests: the tier comes from the folder, chance has a seed."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
TIERS = ("unit", "simulation", "lab", "system")

# Two busy cores make a good test slow; time limits are pytest-timeout's business.
settings.register_profile(
    "gate",
    derandomize=True,
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("hunt", max_examples=5000, deadline=None, print_blob=True)
settings.load_profile("gate")  # --hypothesis-profile=hunt is for a search by hand


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its tier; a test that has none is an error, not a test that nobody runs."""
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if tier not in TIERS:
            raise pytest.UsageError(
                f"{item.nodeid}: a test belongs into one of the folders {', '.join(TIERS)} of tests/"
            )
        item.add_marker(tier)
