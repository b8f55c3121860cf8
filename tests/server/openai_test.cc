#include "server/openai.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/api_error.h"
#include "server/json.h"

namespace lmdeploy {
namespace {

constexpr RequestLimits kLimits{.vocab_size = 100};

Json chat_json() {
  return parse_json(R"({"model":"m","messages":[{"role":"user","content":"hi"}]})");
}
Json completion_json() {
  return parse_json(R"({"model":"m","prompt":"hi"})");
}

ChatRequest chat_with(const std::string& name, const Json& value) {
  Json json = chat_json();
  json[name] = value;
  return parse_chat_request(json.dump(), kLimits);
}

// The `param` with which a request is refused, "" where it is taken.
template <typename Parse>
std::string refused_param(const Json& json, Parse&& parse) {
  try {
    parse(json.dump(), kLimits, nullptr);
  } catch (const ApiError& e) {
    EXPECT_EQ(e.status(), 400);
    const Json error = parse_json(e.body())["error"];
    EXPECT_EQ(error["type"], "invalid_request_error");
    return error["param"].is_null() ? "null" : error["param"].get<std::string>();
  }
  return "";
}

std::string chat_refusal(const std::string& name, const Json& value) {
  Json json = chat_json();
  json[name] = value;
  return refused_param(json, parse_chat_request);
}

std::string completion_refusal(const std::string& name, const Json& value) {
  Json json = completion_json();
  json[name] = value;
  return refused_param(json, parse_completion_request);
}

TEST(ChatRequest, has_the_defaults_of_the_api) {
  const ChatRequest request = parse_chat_request(chat_json().dump(), kLimits);
  EXPECT_EQ(request.options.model, "m");
  EXPECT_FALSE(request.options.stream);
  EXPECT_EQ(request.options.num_choices, 1);
  EXPECT_EQ(request.options.generation.max_new_tokens, 0);
  EXPECT_TRUE(request.options.generation.skip_special_tokens);
  EXPECT_FALSE(request.options.sampling.temperature.has_value());
  const auto& input = std::get<ChatInput>(request.prompt);
  EXPECT_EQ(input.messages.dump(), R"([{"role":"user","content":"hi"}])");
  EXPECT_TRUE(input.add_generation_prompt);
}

TEST(ChatRequest, continues_the_assistants_last_message) {
  const auto with_last = [](const Json& last, const Json& more = Json::object()) {
    Json json = chat_json();
    json["messages"].push_back(last);
    json["continue_final_message"] = true;
    json.update(more);
    return parse_chat_request(json.dump(), RequestLimits{});
  };
  const ChatRequest request = with_last({{"role", "assistant"}, {"content", "It is"}});
  const auto& input = std::get<ChatInput>(request.prompt);
  EXPECT_TRUE(input.continue_final_message);
  EXPECT_FALSE(input.add_generation_prompt);
  EXPECT_THROW(with_last({{"role", "user"}, {"content", "It is"}}), ApiError);
  EXPECT_THROW(with_last({{"role", "assistant"}, {"content", ""}}), ApiError);
  EXPECT_THROW(with_last({{"role", "assistant"}, {"content", "It is"}}, {{"add_generation_prompt", true}}),
               ApiError);
}

TEST(ChatRequest, honours_each_field) {
  EXPECT_EQ(chat_with("temperature", 0.5).options.sampling.temperature, 0.5F);
  EXPECT_EQ(chat_with("top_p", 0.8).options.sampling.top_p, 0.8F);
  EXPECT_EQ(chat_with("top_k", 40).options.sampling.top_k, 40);
  EXPECT_EQ(chat_with("min_p", 0.1).options.sampling.min_p, 0.1F);
  EXPECT_EQ(chat_with("repetition_penalty", 1.1).options.sampling.repetition_penalty, 1.1F);
  EXPECT_EQ(chat_with("seed", 7).options.sampling.seed, 7U);
  EXPECT_EQ(chat_with("max_tokens", 5).options.generation.max_new_tokens, 5);
  EXPECT_EQ(chat_with("max_completion_tokens", 6).options.generation.max_new_tokens, 6);
  EXPECT_EQ(chat_with("min_new_tokens", 3).options.generation.min_new_tokens, 3);
  EXPECT_EQ(chat_with("min_tokens", 4).options.generation.min_new_tokens, 4);
  EXPECT_EQ(chat_with("stop", "x").options.generation.stop, std::vector<std::string>{"x"});
  EXPECT_EQ(chat_with("stop", {"x", "é"}).options.generation.stop, (std::vector<std::string>{"x", "é"}));
  EXPECT_EQ(chat_with("stop_token_ids", {1, 2}).options.generation.stop_token_ids,
            (std::vector<TokenId>{1, 2}));
  EXPECT_TRUE(chat_with("include_stop_str_in_output", true).options.generation.include_stop_str_in_output);
  EXPECT_TRUE(chat_with("ignore_eos", true).options.generation.ignore_eos);
  EXPECT_FALSE(chat_with("skip_special_tokens", false).options.generation.skip_special_tokens);
  EXPECT_FALSE(
      chat_with("spaces_between_special_tokens", false).options.generation.spaces_between_special_tokens);
  EXPECT_TRUE(chat_with("stream", true).options.stream);
  EXPECT_EQ(chat_with("n", 16).options.num_choices, 16);
  EXPECT_FALSE(std::get<ChatInput>(chat_with("add_generation_prompt", false).prompt).add_generation_prompt);
  EXPECT_EQ(std::get<ChatInput>(chat_with("enable_thinking", false).prompt).template_kwargs.dump(),
            R"({"enable_thinking":false})");
  EXPECT_EQ(std::get<ChatInput>(chat_with("chat_template_kwargs", {{"b", 1}, {"a", 2}}).prompt)
                .template_kwargs.dump(),
            R"({"b":1,"a":2})");
  Json json = chat_json();
  json["stream"] = true;
  json["stream_options"] = {{"include_usage", true}};
  EXPECT_TRUE(parse_chat_request(json.dump(), kLimits).options.include_usage);
}

TEST(ChatRequest, null_is_as_if_not_given) {
  for (const char* name :
       {"temperature", "stop", "max_tokens", "tools", "stream_options", "logprobs", "response_format", "n"})
    EXPECT_EQ(chat_refusal(name, nullptr), "") << name;
}

// Every number that is out of range or no number of that kind.
TEST(ChatRequest, checks_the_range_of_each_number) {
  const auto far = {Json(-1),   Json(1e308),   Json(-1e308),  Json("1"),
                    Json(true), Json::array(), Json::object()};
  for (const char* name : {"temperature", "top_p", "min_p", "repetition_penalty"})
    for (const Json& value : far) EXPECT_EQ(chat_refusal(name, value), name) << value;
  EXPECT_EQ(chat_refusal("temperature", 2.01), "temperature");
  EXPECT_EQ(chat_refusal("top_p", 1.01), "top_p");
  EXPECT_EQ(chat_refusal("repetition_penalty", 0), "repetition_penalty");
  const auto no_counts = {Json(-1),
                          Json(2147483648),
                          Json(9007199254740992),
                          Json(9223372036854775807),
                          Json(1e19),
                          Json(1.5),
                          Json("1"),
                          Json(false),
                          Json::array({1}),
                          Json::object(),
                          Json(-2147483648)};
  for (const char* name :
       {"max_tokens", "max_completion_tokens", "min_new_tokens", "min_tokens", "top_k", "n"})
    for (const Json& value : no_counts) EXPECT_EQ(chat_refusal(name, value), name) << value;
  EXPECT_EQ(chat_refusal("max_tokens", 0), "max_tokens");
  EXPECT_EQ(chat_refusal("n", 17), "n");
  EXPECT_EQ(chat_refusal("seed", 1.5), "seed");
  EXPECT_EQ(chat_refusal("seed", -1), "");
}

TEST(ChatRequest, checks_the_type_of_each_field) {
  const std::initializer_list<Json> values{
      Json(7), Json("text"), Json(true), Json::array({Json::object()}), Json{{"k", 1}}, Json(1.5)};
  const std::map<std::string, nlohmann::json::value_t> types{
      {"stream", nlohmann::json::value_t::boolean},
      {"ignore_eos", nlohmann::json::value_t::boolean},
      {"skip_special_tokens", nlohmann::json::value_t::boolean},
      {"spaces_between_special_tokens", nlohmann::json::value_t::boolean},
      {"include_stop_str_in_output", nlohmann::json::value_t::boolean},
      {"add_generation_prompt", nlohmann::json::value_t::boolean},
      {"enable_thinking", nlohmann::json::value_t::boolean},
      {"store", nlohmann::json::value_t::boolean},
      {"parallel_tool_calls", nlohmann::json::value_t::boolean},
      {"model", nlohmann::json::value_t::string},
      {"user", nlohmann::json::value_t::string},
      {"messages", nlohmann::json::value_t::string},
      {"stop", nlohmann::json::value_t::string},
      {"metadata", nlohmann::json::value_t::object},
      {"chat_template_kwargs", nlohmann::json::value_t::object}};
  for (const auto& [name, type] : types)
    for (const Json& value : values) {
      const std::string param = chat_refusal(name, value);
      if (value.type() == type)
        EXPECT_EQ(param, "") << name << value;
      else
        EXPECT_TRUE(param.starts_with(name)) << name << value << param;
    }
}

TEST(ChatRequest, refuses_by_name_what_is_not_built_and_takes_its_neutral_value) {
  const std::vector<std::tuple<std::string, Json, Json>> cases{
      {"modalities", Json::array({"text"}), Json::array({"text", "audio"})},
      {"service_tier", "auto", "flex"}};
  for (const auto& [name, neutral, other] : cases) {
    EXPECT_EQ(chat_refusal(name, neutral), "") << name;
    EXPECT_EQ(chat_refusal(name, other), name) << name;
  }
  for (const char* name : {"reasoning_effort", "audio", "input_ids", "prediction"})
    EXPECT_EQ(chat_refusal(name, "x"), name);
}

TEST(ChatRequest, honours_what_shapes_a_draw) {
  EXPECT_EQ(chat_with("typical_p", 0.9).options.sampling.typical_p, 0.9F);
  EXPECT_EQ(chat_with("presence_penalty", -2).options.sampling.presence_penalty, -2.0F);
  EXPECT_EQ(chat_with("frequency_penalty", 1.5).options.sampling.frequency_penalty, 1.5F);
  EXPECT_EQ(chat_with("bad_words", {"a", "é"}).options.generation.bad_words,
            (std::vector<std::string>{"a", "é"}));
  const auto bias = chat_with("logit_bias", {{"7", -100}, {"99", 0.5}}).options.generation.logit_bias;
  ASSERT_EQ(bias.size(), 2U);
  EXPECT_EQ(bias[0].token, 7);
  EXPECT_EQ(bias[0].bias, -100);
  EXPECT_EQ(bias[1].token, 99);
  EXPECT_EQ(bias[1].bias, 0.5F);
}

TEST(ChatRequest, checks_what_shapes_a_draw) {
  for (const char* name : {"presence_penalty", "frequency_penalty"})
    for (const Json& value : {Json(2.1), Json(-2.1), Json("1"), Json(true)})
      EXPECT_EQ(chat_refusal(name, value), name) << value;
  for (const Json& value : {Json(-0.1), Json(1.1), Json("1")})
    EXPECT_EQ(chat_refusal("typical_p", value), "typical_p");
  for (const char* key : {"100", "-1", "01", "+1", " 1", "1.0", "", "a", "99999999999999999999"})
    EXPECT_EQ(chat_refusal("logit_bias", {{key, 1}}), "logit_bias") << key;
  for (const Json& value : {Json(100.1), Json(-101), Json("1"), Json(nullptr), Json(true)})
    EXPECT_EQ(chat_refusal("logit_bias", {{"5", value}}), "logit_bias.5") << value;
  EXPECT_EQ(chat_refusal("logit_bias", Json::array()), "logit_bias");
  EXPECT_EQ(chat_refusal("bad_words", "x"), "bad_words");
  EXPECT_EQ(chat_refusal("bad_words", {"x", ""}), "bad_words[1]");
  EXPECT_EQ(chat_refusal("bad_words", {std::string(257, 'x')}), "bad_words[0]");
  EXPECT_EQ(chat_refusal("bad_words", Json(std::vector<std::string>(65, "x"))), "bad_words");
}

TEST(ChatRequest, asks_for_logprobs) {
  EXPECT_FALSE(parse_chat_request(chat_json().dump(), kLimits).options.logprobs);
  Json json = chat_json();
  json["logprobs"] = true;
  json["top_logprobs"] = 20;
  const AnswerOptions options = parse_chat_request(json.dump(), kLimits).options;
  EXPECT_TRUE(options.logprobs);
  EXPECT_TRUE(options.generation.logprobs);
  EXPECT_FALSE(options.generation.prompt_logprobs);
  EXPECT_EQ(options.generation.num_top_logprobs, 20);
  json["top_logprobs"] = 21;
  EXPECT_EQ(refused_param(json, parse_chat_request), "top_logprobs");
  EXPECT_EQ(chat_refusal("top_logprobs", 3), "logprobs");
  EXPECT_EQ(chat_refusal("logprobs", 3), "logprobs");
}

TEST(ChatRequest, refuses_unknown_fields) {
  EXPECT_EQ(chat_refusal("temprature", 1), "temprature");
  EXPECT_EQ(chat_refusal("prompt", "x"), "prompt");
  EXPECT_EQ(chat_refusal("stream_options", Json::object()), "stream_options");  // without stream
}

TEST(ChatRequest, bounds_stop_strings) {
  EXPECT_EQ(chat_refusal("stop", ""), "stop");
  EXPECT_EQ(chat_refusal("stop", {"a", ""}), "stop[1]");
  EXPECT_EQ(chat_refusal("stop", std::string(257, 'a')), "stop");
  EXPECT_EQ(chat_refusal("stop", std::string(256, 'a')), "");
  EXPECT_EQ(chat_refusal("stop", Json(std::vector<std::string>(16, "a"))), "");
  EXPECT_EQ(chat_refusal("stop", Json(std::vector<std::string>(10'000, "a"))), "stop");
  EXPECT_EQ(chat_refusal("stop_token_ids", Json::array({0, 99})), "");
  EXPECT_EQ(chat_refusal("stop_token_ids", Json::array({100})), "stop_token_ids");
  EXPECT_EQ(chat_refusal("stop_token_ids", Json::array({-1})), "stop_token_ids");
  EXPECT_EQ(chat_refusal("stop_token_ids", Json::array({"a"})), "stop_token_ids");
}

TEST(ChatRequest, two_spellings_must_agree) {
  Json json = chat_json();
  json["max_tokens"] = 5;
  json["max_completion_tokens"] = 6;
  EXPECT_EQ(refused_param(json, parse_chat_request), "max_tokens");
  json["max_completion_tokens"] = 5;
  EXPECT_EQ(refused_param(json, parse_chat_request), "");
  json["min_tokens"] = 6;
  EXPECT_EQ(refused_param(json, parse_chat_request), "min_new_tokens");
}

TEST(ChatRequest, checks_each_message) {
  const auto refusal = [](const char* messages) { return chat_refusal("messages", parse_json(messages)); };
  EXPECT_EQ(refusal("[]"), "messages");
  EXPECT_EQ(refusal("{}"), "messages");
  EXPECT_EQ(refusal("[3]"), "messages[0]");
  EXPECT_EQ(refusal(R"([{"content":"x"}])"), "messages[0].role");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"x"},{"role":"robot","content":"x"}])"), "messages[1].role");
  EXPECT_EQ(refusal(R"([{"role":"user"}])"), "messages[0].content");
  EXPECT_EQ(refusal(R"([{"role":"user","content":null}])"), "messages[0].content");
  EXPECT_EQ(refusal(R"([{"role":"user","content":{"type":"text"}}])"), "messages[0].content");
  EXPECT_EQ(refusal(R"([{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///x"}}]}])"),
            "messages[0].content[0].type");
  EXPECT_EQ(refusal(R"([{"role":"user","content":[{"type":"text","text":3}]}])"),
            "messages[0].content[0].text");
  EXPECT_EQ(refusal(R"([{"role":"user","content":["x"]}])"), "messages[0].content[0]");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"x","name":1}])"), "messages[0].name");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"x","mood":1}])"), "messages[0].mood");
  const auto calls_refusal = [&](const std::string& calls) {
    return refusal((R"([{"role":"assistant","tool_calls":)" + calls + "}]").c_str());
  };
  EXPECT_EQ(calls_refusal("{}"), "messages[0].tool_calls");
  EXPECT_EQ(calls_refusal("[{}]"), "messages[0].tool_calls[0].function");
  EXPECT_EQ(calls_refusal(R"([{"function":{}}])"), "messages[0].tool_calls[0].function.name");
  EXPECT_EQ(calls_refusal(R"([{"function":{"name":"f","arguments":3}}])"),
            "messages[0].tool_calls[0].function.arguments");
  EXPECT_EQ(calls_refusal(R"([{"type":"custom","function":{"name":"f"}}])"),
            "messages[0].tool_calls[0].type");
  EXPECT_EQ(calls_refusal(R"([{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}])"), "");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"x","tool_calls":[{"function":{"name":"f"}}]}])"),
            "messages[0].tool_calls");
  EXPECT_EQ(refusal(R"([{"role":"user","content":"x","reasoning_content":"y"}])"),
            "messages[0].reasoning_content");
  EXPECT_EQ(refusal(R"([{"role":"assistant","content":"x","refusal":null,"tool_calls":null,"audio":null}])"),
            "");
}

TEST(ChatRequest, joins_text_parts_and_keeps_names) {
  const auto request =
      chat_with("messages", parse_json(R"([{"role":"environment","name":"plugin","content":[)"
                                       R"({"type":"text","text":"a"},{"type":"text","text":"b"}]}])"));
  EXPECT_EQ(std::get<ChatInput>(request.prompt).messages.dump(),
            R"([{"role":"environment","content":"a\nb","name":"plugin"}])");
}

TEST(ChatRequest, keeps_calls_results_and_reasoning_for_the_template) {
  const auto request = chat_with(
      "messages",
      parse_json(
          R"([{"role":"assistant","reasoning_content":"hm","content":null,"tool_calls":[{"id":"c1","type":"function",)"
          R"("function":{"name":"f","arguments":"{\"b\":1,\"a\":2}"}},{"function":{"name":"g","arguments":"no"}}]},)"
          R"({"role":"tool","tool_call_id":"c1","content":"3"}])"));
  EXPECT_EQ(
      std::get<ChatInput>(request.prompt).messages.dump(),
      R"([{"role":"assistant","content":null,"reasoning_content":"hm","tool_calls":[{"id":"c1","type":"function",)"
      R"("function":{"name":"f","arguments":{"b":1,"a":2}}},{"type":"function","function":{"name":"g",)"
      R"("arguments":"no"}}]},{"role":"tool","content":"3","tool_call_id":"c1"}])");
}

TEST(ChatRequest, a_string_is_a_raw_prompt) {
  Json json = chat_json();
  json["messages"] = "raw";
  EXPECT_EQ(std::get<std::string>(parse_chat_request(json.dump(), kLimits).prompt), "raw");
  json["do_preprocess"] = false;
  EXPECT_EQ(refused_param(json, parse_chat_request), "");
  json["enable_thinking"] = true;
  EXPECT_EQ(refused_param(json, parse_chat_request), "enable_thinking");
  EXPECT_EQ(chat_refusal("do_preprocess", false), "do_preprocess");
}

TEST(ChatRequest, asks_for_model_and_messages) {
  EXPECT_EQ(refused_param(Json::object(), parse_chat_request), "model");
  EXPECT_EQ(refused_param(Json{{"model", "m"}}, parse_chat_request), "messages");
  for (const Json& body : {Json(nullptr), Json::array(), Json("x"), Json(1)})
    EXPECT_EQ(refused_param(body, parse_chat_request), "null");
}

TEST(CompletionRequest, takes_each_kind_of_prompt) {
  const auto prompts = [](const Json& prompt) {
    return parse_completion_request(Json{{"model", "m"}, {"prompt", prompt}}.dump(), kLimits).prompts;
  };
  EXPECT_EQ(prompts("hi"), std::vector<Prompt>{"hi"});
  EXPECT_EQ(prompts(Json::array({1, 2})), (std::vector<Prompt>{std::vector<TokenId>{1, 2}}));
  EXPECT_EQ(prompts(Json::array({"a", "b"})), (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(prompts(Json::array({Json::array({1}), Json::array({2})})),
            (std::vector<Prompt>{std::vector<TokenId>{1}, std::vector<TokenId>{2}}));
}

TEST(CompletionRequest, refuses_other_prompts) {
  for (const Json& prompt : {Json(3), Json(true), Json::array(), Json::object(), Json(nullptr)})
    EXPECT_EQ(completion_refusal("prompt", prompt), "prompt") << prompt;
  EXPECT_EQ(completion_refusal("prompt", Json::array({1, 100})), "prompt");
  EXPECT_EQ(completion_refusal("prompt", Json::array({1, -1})), "prompt");
  EXPECT_EQ(completion_refusal("prompt", Json::array({1, "a"})), "prompt");
  EXPECT_EQ(completion_refusal("prompt", Json::array({"a", 1})), "prompt[1]");
  EXPECT_EQ(completion_refusal("prompt", Json::array({"a", Json::array({1})})), "prompt[1]");
  EXPECT_EQ(completion_refusal("prompt", Json(std::vector<std::string>(65, "a"))), "prompt");
}

TEST(CompletionRequest, has_its_own_default_and_fields) {
  EXPECT_EQ(parse_completion_request(completion_json().dump(), kLimits).options.generation.max_new_tokens,
            16);
  for (const auto& [name, neutral, other] : std::vector<std::tuple<std::string, Json, Json>>{
           {"echo", false, 1}, {"suffix", "", 5}, {"best_of", 1, 17}, {"logprobs", nullptr, 21}}) {
    EXPECT_EQ(completion_refusal(name, neutral), "") << name;
    EXPECT_EQ(completion_refusal(name, other), name) << name;
  }
  EXPECT_EQ(completion_refusal("messages", "x"), "messages");
}

TEST(CompletionRequest, asks_for_logprobs_and_echo) {
  const auto with = [](const Json& fields) {
    Json json = completion_json();
    json.update(fields);
    return parse_completion_request(json.dump(), kLimits);
  };
  EXPECT_FALSE(with(Json::object()).options.logprobs);
  EXPECT_TRUE(with(Json::object()).options.generation.continues_prompt);
  EXPECT_TRUE(with({{"logprobs", 0}}).options.logprobs);
  EXPECT_EQ(with({{"logprobs", 5}}).options.generation.num_top_logprobs, 5);
  EXPECT_FALSE(with({{"logprobs", 5}}).options.generation.prompt_logprobs);
  EXPECT_TRUE(with({{"logprobs", 5}, {"echo", true}}).options.generation.prompt_logprobs);
  EXPECT_FALSE(with({{"echo", true}}).options.generation.prompt_logprobs);
  EXPECT_TRUE(with({{"echo", true}}).echo);
  EXPECT_FALSE(with({{"echo", true}}).options.generation.prompt_only);
  EXPECT_EQ(with({{"echo", true}}).options.generation.max_new_tokens, 16);
  EXPECT_TRUE(with({{"echo", true}, {"max_tokens", 0}}).options.generation.prompt_only);
  EXPECT_EQ(completion_refusal("max_tokens", 0), "max_tokens");
}

TEST(CompletionRequest, makes_more_answers_than_it_gives) {
  Json json = completion_json();
  json["n"] = 2;
  EXPECT_EQ(parse_completion_request(json.dump(), kLimits).options.num_candidates, 2);
  json["best_of"] = 5;
  const AnswerOptions options = parse_completion_request(json.dump(), kLimits).options;
  EXPECT_EQ(options.num_candidates, 5);
  EXPECT_TRUE(options.generation.logprobs);
  EXPECT_FALSE(options.logprobs);
  json["stream"] = true;
  EXPECT_EQ(refused_param(json, parse_completion_request), "best_of");
  json["best_of"] = 2;
  EXPECT_EQ(refused_param(json, parse_completion_request), "");
  json["best_of"] = 1;
  EXPECT_EQ(refused_param(json, parse_completion_request), "best_of");
  EXPECT_EQ(chat_refusal("best_of", 1), "best_of");
}

TEST(SamplingOverrides, fall_back_to_the_models_defaults) {
  SamplingParams defaults;
  defaults.temperature = 0.8F;
  defaults.top_k = 40;
  SamplingOverrides overrides;
  overrides.top_k = 1;
  const SamplingParams resolved = overrides.resolve(defaults, 99);
  EXPECT_EQ(resolved.temperature, 0.8F);
  EXPECT_EQ(resolved.top_k, 1);
  EXPECT_EQ(resolved.seed, 99U);
}

}  // namespace
}  // namespace lmdeploy
