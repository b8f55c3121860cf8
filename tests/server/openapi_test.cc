// The OpenAPI document and the parsers say the same: each field that is documented is read, with the type and
// the range that the document has, and each field that is read is documented.
#include "server/openapi.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "server/api_error.h"
#include "server/openai.h"
#include "server/test_server.h"

namespace lmdeploy::testing {
namespace {

RequestLimits limits() {
  RequestLimits limits;
  limits.vocab_size = 64;
  limits.hidden_size = 8;
  return limits;
}

Json with_field(std::string_view example, const std::string& name, const Json& value) {
  Json body = Json::parse(example);
  body[name] = value;
  return body;
}

// The field for which the shown example with `name` set to `value` is refused; empty where it is taken.
std::string refused(const BodyDocs& docs, const std::string& name, const Json& value) {
  try {
    docs.parse(with_field(docs.examples.front(), name, value).dump(), limits(), nullptr);
  } catch (const ApiError& e) {
    const Json param = parse_json(e.response().body)["error"]["param"];
    return param.is_string() ? param.get<std::string>() : "?";
  }
  return {};
}

// Whether one of the examples is taken with it: some fields go with some others only.
bool taken(const BodyDocs& docs, const std::string& name, const Json& value) {
  return std::any_of(docs.examples.begin(), docs.examples.end(), [&](std::string_view example) {
    try {
      docs.parse(with_field(example, name, value).dump(), limits(), nullptr);
      return true;
    } catch (const ApiError&) {
      return false;
    }
  });
}

class Bodies : public ::testing::TestWithParam<BodyDocs> {
 protected:
  const BodyDocs& docs() const { return GetParam(); }
  const Json properties = body_schema(GetParam(), limits())["properties"];
};

TEST_P(Bodies, examples_are_taken) {
  for (const std::string_view example : docs().examples)
    EXPECT_NO_THROW(docs().parse(example, limits(), nullptr)) << example;
}

TEST_P(Bodies, every_field_is_described_and_has_a_type) {
  for (const auto& [name, schema] : properties.items()) {
    EXPECT_TRUE(schema.contains("description")) << name;
    const bool has_type = std::any_of(schema.items().begin(), schema.items().end(), [](const auto& item) {
      return item.key() == "type" || item.key() == "enum" || item.key() == "anyOf" || item.key() == "$ref";
    });
    EXPECT_TRUE(has_type) << name;
  }
}

TEST_P(Bodies, every_field_is_read) {
  for (const auto& [name, schema] : properties.items()) {
    const Json wrong = schema.value("type", "") == "object" ? Json(7) : Json{{"no", "such"}, {"value", 1}};
    EXPECT_TRUE(refused(docs(), name, wrong).starts_with(name)) << name;
  }
  EXPECT_EQ(refused(docs(), "no_such_field", 1), "no_such_field");
}

TEST_P(Bodies, the_ranges_are_the_parsers) {
  for (const auto& [name, schema] : properties.items()) {
    if (schema.contains("maximum")) {
      EXPECT_FALSE(taken(docs(), name, schema["maximum"].get<double>() + 1)) << name;
      EXPECT_TRUE(taken(docs(), name, schema["maximum"])) << name;
    }
    if (schema.contains("minimum")) {
      EXPECT_FALSE(taken(docs(), name, schema["minimum"].get<double>() - 1)) << name;
      EXPECT_TRUE(taken(docs(), name, schema["minimum"])) << name;
    }
  }
}

TEST_P(Bodies, defaults_are_taken) {
  for (const auto& [name, schema] : properties.items())
    if (schema.contains("default")) {
      EXPECT_TRUE(taken(docs(), name, schema["default"])) << name;
    }
}

TEST_P(Bodies, a_required_field_is_missed) {
  const Json schema = body_schema(docs(), limits());
  for (const auto& name : schema.value("required", Json::array()))
    EXPECT_EQ(refused(docs(), name, nullptr), name);
}

std::string test_name(const ::testing::TestParamInfo<BodyDocs>& info) {
  return std::string(info.param.name);
}
INSTANTIATE_TEST_SUITE_P(OpenApi, Bodies, ::testing::ValuesIn(all_body_docs()), test_name);

TEST(OpenApi, nothing_is_described_that_no_parser_reads) {
  FieldNotes notes;
  for (const BodyDocs& docs : all_body_docs())
    for (const std::string_view example : docs.examples) docs.parse(example, limits(), &notes);
  std::set<std::string, std::less<>> read;
  for (const FieldNote& note : notes) read.insert(note.path);
  for (const BodyDocs& docs : all_body_docs())
    for (const FieldText& text : docs.texts) EXPECT_TRUE(read.contains(text.path)) << text.path;
}

TEST(OpenApi, a_range_comes_from_the_limits) {
  RequestLimits narrow = limits();
  narrow.max_choices = 3;
  for (const BodyDocs& docs : all_body_docs()) {
    const Json properties = body_schema(docs, narrow)["properties"];
    if (properties.contains("n")) {
      EXPECT_EQ(properties["n"]["maximum"], 3) << docs.path;
    }
  }
}

TEST(OpenApi, an_optional_field_of_an_object_lies_in_its_properties) {
  const Json properties = body_schema(all_body_docs().front(), limits())["properties"];
  EXPECT_EQ(properties["stream_options"]["type"], "object");
  EXPECT_EQ(properties["stream_options"]["properties"]["include_usage"]["type"], "boolean");
}

TEST(OpenApi, every_route_of_the_server_is_in_the_document_and_answers) {
  const TestServer server;
  const HttpReply reply = server.get("/openapi.json");
  EXPECT_EQ(reply.headers.at("content-type"), "application/json");
  const Json document = parse_json(reply.body);
  EXPECT_EQ(document["openapi"], "3.1.0");
  for (const char* path : {"/health", "/metrics", "/v1/models", "/v1/models/{id}", "/v1/chat/completions",
                           "/v1/completions", "/openapi.json"})
    EXPECT_TRUE(document["paths"].contains(path)) << path;
  for (const auto& [path, methods] : document["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      EXPECT_FALSE(operation["summary"].get<std::string>().empty()) << path;
      EXPECT_EQ(operation.contains("requestBody"), method == "post" && !path.ends_with("/cancel")) << path;
      RawClient client = server.connect();
      client.send(fmt::format("OPTIONS {} HTTP/1.1\r\nHost: x\r\n\r\n", path));
      std::string allowed = client.read_reply().headers["allow"];
      std::transform(allowed.begin(), allowed.end(), allowed.begin(), ::tolower);
      EXPECT_NE(allowed.find(method), std::string::npos) << path;
    }
  }
}

// The one schema that is written by hand.
TEST(OpenApi, messages_are_documented_as_the_parser_takes_them) {
  const TestServer server;
  const Json document = parse_json(server.get("/openapi.json").body);
  const Json properties = document["components"]["schemas"]["Messages"]["items"]["properties"];
  const auto is_taken = [](const Json& message) {
    const Json body{{"model", "m"}, {"messages", Json::array({message})}};
    try {
      parse_chat_request(body.dump(), limits());
      return true;
    } catch (const ApiError&) {
      return false;
    }
  };
  for (const Json& role : properties["role"]["enum"])
    EXPECT_TRUE(is_taken({{"role", role}, {"content", "x"}})) << role;
  EXPECT_FALSE(is_taken({{"role", "nobody"}, {"content", "x"}}));
  const Json part{{"type", properties["content"]["anyOf"][1]["items"]["properties"]["type"]["const"]},
                  {"text", "x"}};
  EXPECT_TRUE(is_taken({{"role", "user"}, {"content", Json::array({part})}, {"name", "x"}}));
  for (const char* required : {"role", "content"}) {
    Json message{{"role", "user"}, {"content", "x"}};
    message.erase(required);
    EXPECT_FALSE(is_taken(message)) << required;
  }
}

TEST(OpenApi, references_lead_somewhere) {
  const TestServer server;
  const Json document = parse_json(server.get("/openapi.json").body);
  const Json flat = document.flatten();
  for (const auto& [place, value] : flat.items())
    if (place.ends_with("/$ref")) {
      EXPECT_TRUE(document.contains(Json::json_pointer(value.get<std::string>().substr(1)))) << value;
    }
}

TEST(OpenApi, an_example_names_the_model_that_is_served) {
  const TestServer server;
  const Json document = parse_json(server.get("/openapi.json").body);
  const Json& content = document["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"];
  const std::string example = content["application/json"]["example"].dump();
  EXPECT_EQ(server.post("/v1/chat/completions", example).status, 200);
}

}  // namespace
}  // namespace lmdeploy::testing
