#pragma once
#include <CLI/App.hpp>
#include <functional>

#include "cli/bench_cost.h"
#include "cli/bench_run.h"
#include "cli/engine_loader.h"
#include "cli/model_options.h"

namespace lmdeploy::cli {

// What both benchmarks share: the model, the shape of the requests and where the report goes.
struct BenchOptions {
  ModelOptions model;
  EngineFlags engine;
  BenchLoad load;
  bool json = false;
};
void add_bench_options(CLI::App& app, BenchOptions& options);

// The engine, with a session as long as the requests need.
LoadedEngine load_bench_engine(const BenchOptions& options);

// The machine while the work ran.
struct BenchMachine {
  ops::Roofs roofs;  // the higher of before and after: another program's burst must not flatter
  std::int64_t peak_resident_bytes = 0;  // of loading and working, without the measurement's own buffer
};

// Runs the work between two measurements of the ceilings, with the engine's number of threads. The engine is
// idle before and after.
BenchMachine measure_around(const EngineFlags& flags, const std::function<void()>& work);

}  // namespace lmdeploy::cli
