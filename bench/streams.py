"""A server of its own, and streamed completions with the time of each piece. For the scripts beside it."""
import http.client
import json
import os
import socket
import subprocess
import time


class Server:
    """`lmdeploy serve api_server MODEL` on a free port; a context manager."""

    def __init__(self, program, model, *options):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port = listener.getsockname()[1]
        command = [program, "serve", "api_server", model, "--server-name", "127.0.0.1", "--server-port", self.port, *options]
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL)

    def __enter__(self):
        while True:
            if self.process.poll() is not None:
                raise SystemExit("the server ended; what it said is above")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/v1/models")
                response = connection.getresponse()
                if response.status == 200:  # it may listen before the model is loaded
                    self.model_name = json.load(response)["data"][0]["id"]
                    return self
            except OSError:
                pass
            time.sleep(0.05)

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait()

    def complete(self, prompt, max_tokens, on_piece=lambda: True, **fields):
        """(seconds from the request to each piece of text, usage). prompt: text or token ids. Hangs up where on_piece()
        says no more."""
        body = {"model": self.model_name, "prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "ignore_eos": True,
                "stream": True, "stream_options": {"include_usage": True}, **fields}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=3600)
        begin = time.monotonic()
        connection.request("POST", "/v1/completions", json.dumps(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {response.read().decode()}")
        seconds, usage = [], None
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            seconds.append(time.monotonic() - begin)
            event = json.loads(line[len(b"data: "):])
            if "error" in event:
                raise SystemExit(event["error"]["message"])
            if event.get("usage"):
                usage = event["usage"]
            if not on_piece():
                break
        connection.close()
        return seconds[:-1], usage  # the last event holds the usage


def default_program():
    return os.path.join(os.path.dirname(__file__), "..", "build", "release", "lmdeploy")


def percentile(values, fraction):
    values = sorted(values)
    return values[min(len(values) - 1, int(fraction * len(values)))]
