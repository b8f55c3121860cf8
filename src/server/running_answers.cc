#include "server/running_answers.h"

#include <algorithm>
#include <vector>

namespace lmdeploy {

RunningAnswers::Ticket::~Ticket() {
  const std::lock_guard lock(answers_.mutex_);
  answers_.answers_.erase(place_);
}

std::unique_ptr<RunningAnswers::Ticket> RunningAnswers::add(Name name, std::function<void()> end) {
  const std::lock_guard lock(mutex_);
  const bool taken = name.session_id && std::any_of(answers_.begin(), answers_.end(), [&](const Answer& a) {
                       return a.session_id == name.session_id && a.owner == name.owner;
                     });
  if (taken) return nullptr;
  answers_.push_back({std::move(name.owner), std::move(name.request_id), name.session_id,
                      std::move(name.answer_id), std::move(end)});
  return std::make_unique<Ticket>(*this, std::prev(answers_.end()));
}

int RunningAnswers::end(const Selection& selection) {
  std::vector<std::function<void()>> selected;
  {
    const std::lock_guard lock(mutex_);
    for (const Answer& answer : answers_) {
      if (answer.owner != selection.owner) continue;
      const bool by_request = !selection.request_id.empty() && answer.request_id == selection.request_id;
      const bool by_session = selection.session_id && answer.session_id == selection.session_id;
      const bool by_answer = !selection.answer_id.empty() && answer.answer_id == selection.answer_id;
      if (selection.all || by_request || by_session || by_answer) selected.push_back(answer.end);
    }
  }
  for (const auto& end_answer : selected) end_answer();
  return static_cast<int>(selected.size());
}

}  // namespace lmdeploy
