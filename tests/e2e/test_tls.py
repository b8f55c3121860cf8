"""--ssl, with a certificate that signed itself."""

import pytest

from program import MODEL, MODEL_NAME, Certificate, Server, run


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("tls"))


def test_the_openai_client_over_tls(tmp_path, certificate):
    with Server(tmp_path / "log.txt", tls=certificate) as server:
        client = server.client()
        assert client.models.list().data[0].id == str(MODEL)
        for _ in range(2):
            stream = client.chat.completions.create(model=MODEL_NAME, messages=[{"role": "user", "content": "Hello"}],
                                                    max_tokens=5, stream=True)
            assert list(stream)[-1].choices[0].finish_reason == "length"
        assert "https://" in server.log.read_text()


@pytest.mark.parametrize("missing", ["SSL_KEYFILE", "SSL_CERTFILE"])
def test_a_file_that_is_not_named_is_said(certificate, missing):
    result = run("serve", "api_server", MODEL, "--ssl", env={**certificate.environment(), missing: ""})
    assert result.returncode == 2 and missing in result.stderr


def test_a_file_that_is_no_key_is_said_before_the_model_is_read(certificate):
    result = run("serve", "api_server", MODEL, "--ssl", "--server-port", 0,
                 env={**certificate.environment(), "SSL_KEYFILE": str(certificate.cert)})
    assert result.returncode == 1
    assert str(certificate.cert) in result.stderr and "SSL_KEYFILE" in result.stderr
