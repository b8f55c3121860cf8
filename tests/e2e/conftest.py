import pytest

from hostile import KEY, completion, post, settled
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


@pytest.fixture(scope="session", autouse=True)
def state_home(tmp_path_factory):
    """What the tests type is not in the history of the one who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(params=["chat", "api_client"])
def chat(request, server):
    """The command line of either chat."""
    if request.param == "chat":
        return ("chat", MODEL, "--session-len", "4096", "--temperature", "0")
    return ("serve", "api_client", server.url, "--temperature", "0")


@pytest.fixture(scope="session")
def client(server):
    return server.client()


@pytest.fixture(scope="session")
def hostile_server(tmp_path_factory):
    """One server with a key and short patience for all tests that send it nonsense."""
    log = tmp_path_factory.mktemp("hostile") / "log.txt"
    with Server(log, "--api-keys", KEY, "--session-len", 1024, "--cache-max-entry-count", "200MB", "--header-timeout", 3,
                "--body-timeout", 4) as running:
        yield running


@pytest.fixture(scope="session")
def guarded(hostile_server):
    """The hostile tests' server and its books before any of them."""
    for _ in range(3):
        assert post(hostile_server, "/v1/completions", completion()).status == 200
    return hostile_server, settled(hostile_server)
