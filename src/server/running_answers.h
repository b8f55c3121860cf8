#pragma once
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace lmdeploy {

// The answers that are being made, so that who asked for one can end it from another connection. From any
// thread; outlives its tickets.
class RunningAnswers {
 private:
  struct Answer {
    std::string owner;  // Caller::owner
    std::string request_id;
    std::optional<std::int64_t> session_id;
    std::string answer_id;
    std::function<void()> end;
  };
  using Answers = std::list<Answer>;

 public:
  // Held by an answer for as long as it can be ended.
  class Ticket {
   public:
    Ticket(RunningAnswers& answers, Answers::iterator place) : answers_(answers), place_(place) {}
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

   private:
    RunningAnswers& answers_;
    Answers::iterator place_;
  };

  struct Name {
    std::string owner;
    std::string request_id;
    std::optional<std::int64_t> session_id = {};
    std::string answer_id = {};  // the API's; empty: none by which it is to be ended
  };
  // `end` may be called several times, from any thread, also shortly after the ticket has gone; it must not
  // block. Null where an answer of that owner has the session's id already.
  std::unique_ptr<Ticket> add(Name name, std::function<void()> end);

  // Which of an owner's answers: those with one of these ids, or all.
  struct Selection {
    std::string owner;
    std::string request_id = {};  // empty: none by this
    std::optional<std::int64_t> session_id = {};
    std::string answer_id = {};  // empty: none by this
    bool all = false;
  };
  int end(const Selection& selection);  // how many were told

 private:
  std::mutex mutex_;
  Answers answers_;  // under mutex_
};

}  // namespace lmdeploy
