"""Runs the program under test: once to its end, as a server, or in a pseudo-terminal."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import openai
import pexpect

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("LMDEPLOY_BINARY", ROOT / "build/release/lmdeploy")).resolve()
MODEL = Path(os.environ.get("LMDEPLOY_MODEL", ROOT / "models/SmolLM2-135M-Instruct")).resolve()
GGUF = MODEL.with_name("SmolLM2-135M-Instruct.Q4_1.gguf")
MODEL_NAME = "SmolLM2-135M-Instruct"

START_SECONDS = 60
POLL_SECONDS = 0.02


def run(*args, stdin="", env=None, timeout=60) -> subprocess.CompletedProcess:
    """The program's output and exit status."""
    return subprocess.run([BINARY, *map(str, args)], input=stdin, env={**os.environ, **(env or {})}, text=True,
                          capture_output=True, timeout=timeout, check=False)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until(condition, seconds: float, what: str):
    """Polls until condition() is true; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} within {seconds} s"
        time.sleep(POLL_SECONDS)
    return value


class Server:
    """`lmdeploy serve api_server` on a free port; a context manager."""

    def __init__(self, log: Path, *options, model: Path = MODEL):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        command = [BINARY, "serve", "api_server", model, "--server-name", "127.0.0.1", "--server-port", self.port,
                   "--log-level", "INFO", *options]
        with open(log, "w") as out:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        try:
            wait_until(self.answers, START_SECONDS, "the server answers /health")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def answers(self) -> bool:
        assert self.process.poll() is None, f"the server ended: {self.log.read_text()}"
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def client(self, api_key="none") -> openai.OpenAI:
        return openai.OpenAI(base_url=self.url + "/v1", api_key=api_key, max_retries=0, timeout=60)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float) -> int:
        return self.process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.terminate()
            try:
                self.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise


def terminal(*args, env=None, timeout=30) -> pexpect.spawn:
    """The program in a pseudo-terminal, 200 columns wide, without the terminal's own echo."""
    child = pexpect.spawn(str(BINARY), [str(arg) for arg in args], env={**os.environ, "TERM": "xterm", **(env or {})},
                          encoding="utf-8", timeout=timeout, dimensions=(50, 200), echo=False)
    child.delaybeforesend = None
    return child
