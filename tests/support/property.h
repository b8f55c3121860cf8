#pragma once
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <sstream>
#include <utility>

namespace lmdeploy::testing {

// A RapidCheck property as a test of GoogleTest. Its cases are the same in every run, so that a failure can
// be repeated; it prints the smallest input that it found to fail.
template <class Property>
void check_property(int num_cases, Property&& property) {
  rc::detail::TestParams params;
  params.seed = 20'240'704;
  params.maxSuccess = num_cases;
  const auto result =
      rc::detail::checkTestable(std::forward<Property>(property), rc::detail::TestMetadata(), params);
  if (result.template is<rc::detail::SuccessResult>()) return;
  std::ostringstream message;
  rc::detail::printResultMessage(result, message);
  ADD_FAILURE() << message.str();
}

}  // namespace lmdeploy::testing
