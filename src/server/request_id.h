#pragma once
#include <string>
#include <string_view>

namespace lmdeploy {

// `num_digits` random hexadecimal digits: an id that nobody can guess from another one.
std::string random_id(int num_digits);

// The client's x-request-id where it is short and plain enough for a log line, else a new one.
std::string choose_request_id(const std::string* from_client);

}  // namespace lmdeploy
