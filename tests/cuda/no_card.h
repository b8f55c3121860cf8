#pragma once
#include <string>

#include "tensor/cuda/device.h"

namespace lmdeploy {

// Why tests on a card are skipped; empty where there is one.
inline const std::string& why_no_card() {
  static const std::string reason = cuda::availability().reason;
  return reason;
}

}  // namespace lmdeploy
