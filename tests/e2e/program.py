"""Runs the program under test: once to its end, as a server, or in a pseudo-terminal."""

import json
import os
import signal
import socket
import ssl
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


class Certificate:
    """A key and a certificate for localhost that it has signed itself."""

    def __init__(self, folder: Path):
        self.key, self.cert = folder / "key.pem", folder / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", self.key, "-out", self.cert, "-days", "1", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)

    def environment(self) -> dict:
        return {"SSL_KEYFILE": str(self.key), "SSL_CERTFILE": str(self.cert)}


class Server:
    """`lmdeploy serve api_server` on a free port; a context manager."""

    def __init__(self, log: Path, *options, model: Path = MODEL, stderr=None, tls: "Certificate | None" = None,
                 port: int = 0):
        self.port = port or free_port()
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{self.port}"
        self.log = log
        command = [BINARY, "serve", "api_server", model, "--server-name", "127.0.0.1", "--server-port", self.port,
                   "--log-level", "INFO", *(["--ssl"] if tls else []), *options]
        env = {**os.environ, **(tls.environment() if tls else {})}
        with open(log, "w") as out:
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=stderr or out, env=env)
        try:
            wait_until(self.answers, START_SECONDS, "the server answers /health")
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def answers(self) -> bool:
        assert self.process.poll() is None, f"the server ended: {self.log.read_text()}"
        try:
            with urllib.request.urlopen(self.url + "/health", timeout=5, context=self.trust()) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def trust(self) -> ssl.SSLContext | None:
        """What a client needs to believe the server's certificate."""
        return ssl.create_default_context(cafile=self.tls.cert) if self.tls else None

    def client(self, api_key="none") -> openai.OpenAI:
        http_client = openai.DefaultHttpxClient(verify=self.trust()) if self.tls else None
        return openai.OpenAI(base_url=self.url + "/v1", api_key=api_key, max_retries=0, timeout=60,
                             http_client=http_client)

    def post(self, path, body, headers=None, timeout=60) -> tuple[int, dict, bytes]:
        """Status, headers and body of the answer, whatever the status."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.trust()) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def ask(self, path, body, **options) -> dict:
        status, _, answer = self.post(path, body, **options)
        assert status == 200, answer
        return json.loads(answer)

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
