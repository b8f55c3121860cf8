// The body of /v1/embeddings.
#include "server/embeddings.h"
#include "server/openapi_bodies.h"

namespace lmdeploy {
namespace {

BodyDocs embeddings_docs() {
  return {.path = "/v1/embeddings",
          .name = "EmbeddingsRequest",
          .produces = {},
          .examples = {R"({"model": "m", "input": "The capital of France is Paris."})"},
          .answer = R"({"object": "list",
                        "data": [{"object": "embedding", "index": 0, "embedding": [0.6, -0.8]}],
                        "model": "m", "usage": {"prompt_tokens": 7, "total_tokens": 7}})",
          .parse = [](std::string_view body, const RequestLimits& limits,
                      FieldNotes* notes) { parse_embeddings_request(body, limits, notes); },
          .texts = {
              {"model", "A name that /v1/models lists."},
              {"input",
               "A text, its token ids, or a list of either, each with an embedding of its own.",
               {},
               kTextsOrIds},
              {"encoding_format", "float: a list of numbers; base64: of 32-bit floats, little-endian.",
               R"("float")", R"({"enum": ["float", "base64"]})"},
              {"pooling",
               "last: the last token's state behind the final norm; mean: the mean of all tokens'. Default: "
               "--embedding-pooling, which is last.",
               {},
               R"({"enum": ["last", "mean"]})"},
              {"dimensions", "Only the first so many, at a length of 1 again. Default: all."},
              {"user", "A label of the client's own, without effect on the answer."},
          }};
}

}  // namespace

std::vector<BodyDocs> embeddings_body_docs() {
  return {embeddings_docs()};
}

}  // namespace lmdeploy
