import pytest

from program import BINARY, MODEL, Server


def pytest_configure():
    for path, remedy in ((BINARY, "make build"), (MODEL / "config.json", "make model")):
        if not path.exists():
            pytest.exit(f"{path} is missing: run `{remedy}`", returncode=3)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server with default options for all tests that only ask it questions."""
    with Server(tmp_path_factory.mktemp("server") / "log.txt") as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    return server.client()
