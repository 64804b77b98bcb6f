"""Which tests run side by side, where there are several processes to run them."""

from pathlib import Path

import pytest

# These start processes of their own, and wait for their signs of life: one file after another.
_ALONE = Path(__file__).parent / "launch" / "engines"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a file together, which share what they compile."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        alone = _ALONE in item.path.parents
        item.add_marker(pytest.mark.xdist_group("engines" if alone else str(item.path)))
