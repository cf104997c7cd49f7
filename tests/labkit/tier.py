"""What the tiers have in common that need more of a host than a folder: whether it can, and which test failed."""

import os
from collections.abc import Generator

import pytest

FAILED = pytest.StashKey[bool]()
"""Of a test, whether a phase of it has failed: what its machines said is printed then."""


def demand(tier: str, what: str, reason: str) -> None:
    """A host that cannot is a reason to skip for a developer, and a failure where the tier is required (CI)."""
    if reason and tier in os.environ.get("SKD_REQUIRE", "").split(","):
        pytest.fail(f"{what} required here, and cannot be: {reason}")
    if reason:
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed. A hook in each conftest that imports it."""
    report = yield
    item.stash[FAILED] = report.failed or item.stash.get(FAILED, False)
    return report
