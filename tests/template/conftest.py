"""Fixtures of the template's tests."""

import pytest
from expanded import Stack, source


@pytest.fixture(scope="session")
def stack():
    return Stack()


@pytest.fixture(scope="session")
def build():
    """Makes a stack with other parameters than the defaults."""
    return Stack


@pytest.fixture(scope="session")
def written():
    """The template as it is written, before SAM's transform."""
    return source()
