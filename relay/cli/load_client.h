// The load generator: connections, pace, and the account of what became of each message.
//
// One thread runs it. A message whose connection breaks before all of its content was sent, or that
// is refused for the moment (4xx), is tried again under the same id; one whose connection breaks
// afterwards is unknown and never repeated.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "relay/cli/latency_histogram.h"
#include "relay/cli/load_ledger.h"
#include "relay/cli/load_message.h"
#include "relay/cli/load_session.h"
#include "relay/cli/tool_socket.h"

namespace sluice::relay {

struct LoadOptions {
  Endpoint to;
  LoadMessageOptions message;
  LoadSessionOptions session;
  uint64_t messages = 1000;              // 0: until `duration` is over
  uint64_t first = 0;                    // SEQ of the first
  std::chrono::milliseconds duration{};  // 0: until `messages` are done
  size_t connections = 10;
  size_t messages_per_connection = 0;  // 0 = no limit
  double rate = 0;    // messages a second, at their times (open loop); 0: closed loop
  bool retry = true;  // what was refused with 4xx
  std::chrono::milliseconds retry_after{100};  // 4xx, or a connection that broke
  std::chrono::milliseconds give_up{60'000};   // without any reply that takes a message further
  std::string ledger;
};

struct LoadSummary {
  uint64_t accepted = 0, refused = 0, unknown = 0, unsent = 0;
  uint64_t accepted_recipients = 0, refused_recipients = 0;
  uint64_t temporary_refusals = 0, connections = 0, connection_errors = 0, bytes = 0;
  double seconds = 0;        // from the start to the last acceptance
  LatencyHistogram latency;  // from when a message was due (open loop) or begun, to its acceptance
  LatencyHistogram commit;   // from its last byte sent to its acceptance
  std::map<int, uint64_t> replies;  // that decided a message
  std::string last_error;

  bool allAccepted() const { return refused == 0 && unknown == 0 && unsent == 0; }
  nlohmann::json toJson() const;
};

class LoadClient {
 public:
  // Errors: InvalidArgument, Io.
  static Result<std::unique_ptr<LoadClient>> create(LoadOptions options);
  ~LoadClient();
  // Runs until all is done, given up, or stopped by SIGTERM and SIGINT if `signals`. Errors: Io.
  Result<void> run(bool signals);
  const LoadSummary& summary() const { return summary_; }
  const LoadMaker& maker() const { return maker_; }

 private:
  struct Connection;
  struct Message {
    uint64_t seq;
    uint64_t due_ns;    // latency counts from here
    uint64_t ready_ns;  // not to be tried before
  };

  LoadClient(LoadOptions options, LoadMaker maker, LoadLedger ledger, Poller poller);
  void connectAll(uint64_t now);
  void connect(Connection& connection, uint64_t now);
  void onEvent(Connection& connection, uint32_t events);
  bool receive(Connection& connection);
  bool send(Connection& connection);
  void settle(Connection& connection, uint64_t now);
  void account(Connection& connection, uint64_t now);
  void proceed(Connection& connection, uint64_t now);
  void drop(Connection& connection, uint64_t now, bool orderly);
  void retryLater(Connection& connection, uint64_t now);
  std::optional<Message> next(uint64_t now);
  bool exhausted(uint64_t now) const;
  void note(const Connection& connection, char what, int code);
  uint64_t dueAt(uint64_t number) const;
  int timeoutMs(uint64_t now) const;
  void finish(uint64_t now);

  LoadOptions options_;
  LoadMaker maker_;
  LoadLedger ledger_;
  Poller poller_;
  LoadSummary summary_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Message> again_;  // to be tried again, by time
  uint64_t begun_ = 0;
  size_t in_flight_ = 0;
  size_t open_ = 0;
  uint64_t start_ns_ = 0;
  uint64_t end_ns_ = 0;  // of `duration`; 0: none
  uint64_t progress_ns_ = 0;
  uint64_t last_accept_ns_ = 0;
  bool stopping_ = false;
  std::vector<char> read_buffer_;
};

}  // namespace sluice::relay
