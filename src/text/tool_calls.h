#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/call_object.h"
#include "text/marker_finder.h"
#include "text/tool_format.h"

namespace lmdeploy {

// What is new of one tool call. The first delta of a call has its name, and only that one.
struct ToolCallDelta {
  std::int32_t call_idx = 0;  // in the answer, from 0
  std::string name;
  std::string arguments;  // JSON; all deltas of a call together are one object, where the call is whole

  bool operator==(const ToolCallDelta&) const = default;
};

struct ToolCallOptions {
  const ToolFormat* format = nullptr;    // never null
  std::vector<std::string> names = {};   // of the functions that there are
  std::vector<std::string> hidden = {};  // markers that are never part of the content: special tokens
  bool only_one = false;                 // what follows the first whole call is dropped
};

// Finds tool calls in an answer that comes piece by piece, the same whatever the pieces are, and never fails:
//  - What is damaged before its arguments begin, or names no function that there is, is content, markers and
//    all but the hidden ones.
//  - A call that has begun keeps the arguments that came. Where they stop being JSON the rest is content, and
//    all_whole() says no.
//  - White space directly before a call, and behind the last one, is dropped.
class ToolCallParser {
 public:
  explicit ToolCallParser(ToolCallOptions options);

  struct Pieces {
    std::string content;
    std::vector<ToolCallDelta> calls;
  };
  Pieces feed(std::string_view text);
  Pieces finish();

  std::int32_t num_calls() const { return num_calls_; }
  // Each call's arguments have come to their end.
  bool all_whole() const { return num_whole_ == num_calls_; }
  // The one call that is wanted has come.
  bool is_satisfied() const { return options_.only_one && num_whole_ > 0; }

 private:
  enum class State : std::uint8_t {
    start,  // of a bare form: white space, or the object
    content,
    header,      // between a begin marker and its object: white space, the header
    list_start,  // an opening bracket, an object, or a name
    name,        // of the form NAME[ARGS]{...}
    object,
    behind  // a whole object: the end marker, or what leads to the next object
  };
  void feed(char byte, Pieces& pieces);
  void feed_start(char byte, Pieces& pieces);
  void feed_content(char byte, Pieces& pieces);
  void feed_header(char byte, Pieces& pieces);
  void feed_list_start(char byte, Pieces& pieces);
  void feed_name(char byte, Pieces& pieces);
  void feed_object(char byte, Pieces& pieces);
  void feed_behind(char byte, Pieces& pieces);
  void begin_call(std::string_view marker);
  void begin_object(CallObject object);
  void give_up(Pieces& pieces);
  void give_up_and_feed(char byte, Pieces& pieces);
  void add_content(std::string_view text, Pieces& pieces);
  bool is_hidden(std::string_view marker) const;
  bool is_known(const std::string& name) const;
  void add_arguments(const std::string& text, Pieces& pieces);

  ToolCallOptions options_;
  std::vector<std::string> markers_;  // sought in content: the begin marker is the first
  MarkerFinder finder_;
  State state_;
  CallObject object_;
  std::string raw_;     // what has been read of a call that has not begun
  std::string header_;  // what has been read of a header or of a name
  std::string space_;   // white space that is content only if content follows
  bool in_list_ = false;
  std::int32_t num_calls_ = 0;
  std::int32_t num_whole_ = 0;
};

}  // namespace lmdeploy
