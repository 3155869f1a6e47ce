// The log: one event a line on standard output, JSON or text; docs/events.md lists the events.
//
// Any thread may log. An event becomes its line at once (cheaper than giving its strings to another
// thread to free), the lines wait in bounded buffers, one a thread, for one writer thread. What
// does not fit is dropped and counted, so that a slow reader of our output never stalls mail. Lines
// of one thread keep their order; those of two may be a few milliseconds apart. Everything that
// came from outside is escaped: an event is one line, whatever is in it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "net/base/clock.h"

namespace sluice::relay {

enum class LogLevel { Debug, Info, Warn, Error };

// Fields of a message event; empty ones are left out of the line.
struct MessageEvent {
  // accepted notice refused delivered deferred bounced expired discarded held released
  std::string_view event;  // a literal
  std::string id;
  std::string sender;  // "<>" for the null reverse-path
  std::string recipient;
  uint64_t size = 0;
  std::string connector;
  std::string destination;
  std::string mx;       // host name
  std::string address;  // [address]:port, or the client's for accepted and refused
  std::string tls;      // "TLSv1.3" or empty
  std::string user;     // who authenticated, or empty
  int code = 0;         // 250
  std::string status;   // 2.0.0
  std::string reply;    // the reply's text, or our reason
  std::optional<uint32_t> attempts;
  std::optional<double> delay_s;  // since acceptance
};

// Any other event: a name and fields.
using LogValue = std::variant<std::string, int64_t, double, bool>;
struct LogEvent {
  LogLevel level = LogLevel::Info;
  std::string event;  // "listening", "draining", "store_failed" ...
  std::vector<std::pair<std::string, LogValue>> fields;
};

struct LogOptions {
  LogLevel level = LogLevel::Info;
  bool json = true;
  int fd = 1;
};

class EventLog {
 public:
  virtual ~EventLog() = default;  // writes what waits
  static std::unique_ptr<EventLog> create(const LogOptions& options);
  virtual void message(MessageEvent event) = 0;
  virtual void log(LogEvent event) = 0;
  // As log(), but of one `cause` at most one line a second comes; the next one says how many were
  // left out.
  virtual void logLimited(std::string_view cause, LogEvent event) = 0;
  virtual uint64_t dropped() const = 0;
  virtual void flush() = 0;  // waits until all that was logged before is written
  virtual void setLevel(LogLevel level) = 0;
};

}  // namespace sluice::relay
