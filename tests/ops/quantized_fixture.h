#pragma once
#include "ops/ops_fixture.h"
#include "ops/quantized_tensors.h"

namespace lmdeploy::ops {

class QuantizedTest : public QuantizedTensors<OpsTest> {};

}  // namespace lmdeploy::ops
