"""What the tests of seams share: one S3 server for all of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.azure_server import AzureServer
from tests.s3_server import S3Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """A blob server with a container."""
    with AzureServer(tmp_path_factory.mktemp("azure")) as running:
        yield running
