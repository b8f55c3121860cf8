#pragma once
#include "base/error.h"

namespace lmdeploy::cli {

// The command line asks for something that this program does not know or has not built: exit status 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

}  // namespace lmdeploy::cli
