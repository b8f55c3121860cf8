"""POST /v1/embeddings through the real openai client."""

import math

import openai
import pytest

from program import MODEL_NAME, Server

CAT, KITTEN, TAX = ("The cat sleeps on the sofa.", "A kitten is sleeping on the couch.",
                    "Income tax is due at the end of April.")


def embed(client, texts, **options):
    answer = client.embeddings.create(model=MODEL_NAME, input=texts, **options)
    return [entry.embedding for entry in answer.data]


def dot(a, b) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def test_vectors_have_a_length_of_one_and_the_models_width(client):
    answer = client.embeddings.create(model=MODEL_NAME, input=CAT)
    vector = answer.data[0].embedding
    assert len(vector) == 576
    assert math.isclose(dot(vector, vector), 1, abs_tol=1e-5)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 9


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_what_means_the_same_lies_closer(client, pooling):
    cat, kitten, tax = embed(client, [CAT, KITTEN, TAX], extra_body={"pooling": pooling})
    assert dot(cat, kitten) > dot(cat, tax) + 0.01


def test_many_are_what_each_is_alone(client):
    texts = [CAT * (1 + i % 40) for i in range(50)]
    together = embed(client, texts)
    for i in (0, 17, 39, 49):
        assert embed(client, texts[i])[0] == together[i]


def test_both_formats_and_fewer_dimensions(client):
    numbers = embed(client, CAT, encoding_format="float")[0]
    assert embed(client, CAT, encoding_format="base64")[0] != numbers  # the client leaves it as it came
    assert embed(client, CAT)[0] == pytest.approx(numbers, abs=1e-7)
    few = embed(client, CAT, dimensions=64)[0]
    assert len(few) == 64 and math.isclose(dot(few, few), 1, abs_tol=1e-5)
    assert few[0] / few[1] == pytest.approx(numbers[0] / numbers[1], rel=1e-4)


def test_refusals(client):
    for options in ({"input": ""}, {"input": CAT, "dimensions": 577}, {"input": [CAT] * 2049},
                    {"input": CAT, "extra_body": {"pooling": "max"}}):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model=MODEL_NAME, **options)


def test_the_servers_pooling(tmp_path):
    with Server(tmp_path / "log.txt", "--embedding-pooling", "mean", "--cache-max-entry-count", "200MB") as server:
        client = server.client()
        assert embed(client, CAT) == embed(client, CAT, extra_body={"pooling": "mean"})
        assert embed(client, CAT) != embed(client, CAT, extra_body={"pooling": "last"})
