#pragma once
#include <memory>

#include "server/admission.h"
#include "server/running_answers.h"

namespace lmdeploy {

// The server's leave to make an answer, and the answer's name for those who may end it.
struct AnswerPermit {
  std::unique_ptr<Admission::Ticket> ticket;
  RunningAnswers& running;
  RunningAnswers::Name name;
};

}  // namespace lmdeploy
