#pragma once
// A model folder beside golden.json, what a reference computed with it: session_len, and prompts with ids,
// positions and the logits there, greedy_ids.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "model/model_session.h"

namespace lmdeploy::testing {

class GoldenTest : public ::testing::TestWithParam<std::string> {
 protected:
  void load(const std::filesystem::path& folder, LoadOptions options) {
    std::ifstream file(folder / "golden.json");
    golden_ = nlohmann::json::parse(file);
    options.session_len = golden_.at("session_len");
    model_ = load_model(ctx(), folder, options);
  }
  virtual Ctx& ctx() { return cpu_.ctx; }
  const nlohmann::json& prompts() const { return golden_.at("prompts"); }
  ModelSession session() { return {ctx(), *model_, static_cast<int>(prompts().size()), 256}; }

  // Those of the prompt and of its greedy answer, computed at once and compared with the reference's.
  static std::vector<Logits> expect_logits(ModelSession& session, int seq_idx, const nlohmann::json& prompt,
                                           double tolerance) {
    Ids ids = prompt.at("ids");
    for (const std::int32_t id : prompt.at("greedy_ids")) ids.push_back(id);
    std::vector<Logits> logits = session.prefill(seq_idx, ids, 1000);
    const Ids positions = prompt.at("positions");
    for (std::size_t i = 0; i < positions.size(); i++)
      EXPECT_LT(relative_error(logits.at(static_cast<std::size_t>(positions[i])), prompt.at("logits")[i]),
                tolerance)
          << "position " << positions[i] << " of " << ids.size();
    return logits;
  }

 private:
  Cpu cpu_;
  nlohmann::json golden_;
  std::unique_ptr<const Model> model_;
};

}  // namespace lmdeploy::testing
