"""One running shop for all stories."""

import pytest

from tests.support.world import running


@pytest.fixture(scope="session")
def world():
    with running("stories") as world:
        yield world
