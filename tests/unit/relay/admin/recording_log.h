// A log that keeps its events.
#pragma once

#include <mutex>
#include <vector>

#include "relay/log/event_log.h"

namespace sluice::relay {

class RecordingLog final : public EventLog {
 public:
  void message(MessageEvent event) override {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(event));
  }
  void log(LogEvent event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  void logLimited(std::string_view, LogEvent event) override { log(std::move(event)); }
  uint64_t dropped() const override { return 0; }
  void flush() override {}
  void setLevel(LogLevel) override {}

  std::vector<MessageEvent> messages() {
    const std::lock_guard lock(mutex_);
    return messages_;
  }
  std::vector<LogEvent> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  std::mutex mutex_;
  std::vector<MessageEvent> messages_;
  std::vector<LogEvent> events_;
};

}  // namespace sluice::relay
