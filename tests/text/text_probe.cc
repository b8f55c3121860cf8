// What src/text does, for the scripts beside this file that compare it with Python's libraries: one JSON
// request a line on stdin, one JSON answer a line on stdout.
//   text_probe [FOLDER]     FOLDER: a model's folder with its tokenizer
#include <chrono>
#include <iostream>

#include "base/error.h"
#include "base/log.h"
#include "text/chat_template.h"
#include "text/stream_decoder.h"
#include "text/tokenizer.h"

namespace lmdeploy {
namespace {

using Json = nlohmann::ordered_json;

Tokenizer::DecodeOptions decode_options(const Json& request) {
  return {request.value("skip_special_tokens", true), request.value("spaces_between_special_tokens", true)};
}

RenderedPrompt rendered(const Json& request) {
  RenderedPrompt prompt{request.at("text"), {}};
  for (const auto& span : request.value("plain", Json::array()))
    prompt.plain.push_back({span.at(0), span.at(1)});
  return prompt;
}

Json render(const Json& request, const Tokenizer* tokenizer, const std::string& folder) {
  const std::string source = request.value("source", "");
  const auto chat_template =
      source.empty()
          ? ChatTemplate::load(folder, *tokenizer)
          : ChatTemplate::from_source(source, request.value("bos_token", ""), request.value("eos_token", ""),
                                      request.value("special_tokens", std::vector<std::string>{}));
  ChatInput input;
  input.messages = request.at("messages");
  if (request.contains("tools")) input.tools = request["tools"];
  if (request.contains("kwargs")) input.template_kwargs = request["kwargs"];
  input.add_generation_prompt = request.value("add_generation_prompt", true);
  const auto prompt = chat_template->render(input);
  Json plain = Json::array();
  for (const auto& span : prompt.plain) plain.push_back({span.begin, span.end});
  return {{"text", prompt.text}, {"plain", plain}};
}

Json stream(const Json& request, const Tokenizer& tokenizer) {
  StreamDecoder decoder(tokenizer,
                        {decode_options(request), request.value("stop", std::vector<std::string>{}),
                         request.value("include_stop_str_in_output", false)});
  Json pieces = Json::array();
  for (const auto& id : request.at("ids")) pieces.push_back(decoder.feed(id));
  pieces.push_back(decoder.finish());
  return {{"pieces", pieces}};
}

Json answer(const Json& request, const Tokenizer* tokenizer, const std::string& folder) {
  const std::string op = request.at("op");
  if (op == "render") return render(request, tokenizer, folder);
  CHECK(tokenizer != nullptr, "no folder was given");
  if (op == "encode")
    return {{"ids", tokenizer->encode(request.at("text").get<std::string>(),
                                      request.value("add_special_tokens", false))}};
  if (op == "encode_rendered") return {{"ids", tokenizer->encode(rendered(request))}};
  if (op == "decode")
    return {
        {"text", tokenizer->decode(request.at("ids").get<std::vector<TokenId>>(), decode_options(request))}};
  if (op == "stream") return stream(request, *tokenizer);
  if (op == "info")
    return {{"vocab_size", tokenizer->vocab_size()},
            {"special_tokens", tokenizer->special_tokens()},
            {"bos_id", tokenizer->bos_id().value_or(-1)},
            {"eos_id", tokenizer->eos_id().value_or(-1)}};
  throw Error("unknown op " + op);
}

int run(const std::string& folder) {
  init_log("WARNING");
  const auto start = std::chrono::steady_clock::now();
  const auto tokenizer = folder.empty() ? nullptr : Tokenizer::load(folder);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::cerr << "loaded in " << seconds.count() << " s\n";
  for (std::string line; std::getline(std::cin, line);) {
    Json reply;
    try {
      reply = answer(Json::parse(line), tokenizer.get(), folder);
    } catch (const std::exception& error) {
      reply = {{"error", error.what()}};
    }
    std::cout << reply.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace lmdeploy

int main(int argc, char** argv) {
  try {
    return lmdeploy::run(argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
