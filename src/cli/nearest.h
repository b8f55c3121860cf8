#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace lmdeploy::cli {

// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The candidate that `word` most likely meant; empty where none is close.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace lmdeploy::cli
