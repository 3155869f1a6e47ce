// The sink as a server: sockets, timers and the clock around SinkSession.
//
// One thread runs it; stop() may come from any other.
#pragma once

#include <memory>
#include <ostream>
#include <queue>
#include <string>
#include <vector>

#include "relay/cli/sink_recorder.h"
#include "relay/cli/sink_session.h"
#include "relay/cli/tool_socket.h"

namespace sluice::relay {

struct SinkServerOptions {
  std::vector<Endpoint> listen;
  SinkSessionOptions session;
  std::vector<SinkRule> rules;
  uint64_t seed = 1;
  SinkRecorderOptions recorder;
  std::string stats_file;  // the tally as JSON, rewritten every second; empty: none
};

class SinkServer {
 public:
  // Binds all addresses. Errors: Exists, InvalidArgument, Io. `out` (for --verbose) outlives it.
  static Result<std::unique_ptr<SinkServer>> create(SinkServerOptions options, std::ostream& out);
  ~SinkServer();

  const std::vector<Endpoint>& listening() const { return listening_; }
  // Runs until stop(), or SIGTERM and SIGINT if `signals`. Errors: Io.
  Result<void> run(bool signals);
  void stop();  // any thread
  const SinkTally& tally() const { return tally_; }

 private:
  struct Connection;
  struct Wait {
    uint64_t due_ns;
    uint64_t tag;
    bool operator<(const Wait& other) const { return due_ns > other.due_ns; }
  };

  explicit SinkServer(SinkServerOptions options);
  Result<void> open(std::ostream& out);
  void accept(const Descriptor& listener);
  Connection* find(uint64_t tag);
  void onReadable(Connection& connection);
  void advance(Connection& connection);
  bool send(Connection& connection);
  void watch(Connection& connection);
  void drop(Connection& connection);
  void resumeDue();
  int timeoutMs() const;
  void housekeeping(bool last);

  SinkServerOptions options_;
  SinkTally tally_;
  SinkScript script_;
  std::unique_ptr<SinkRecorder> recorder_;
  std::unique_ptr<Poller> poller_;
  Descriptor wake_;
  std::vector<Descriptor> listeners_;
  std::vector<Endpoint> listening_;
  // A connection's tag is its slot and a generation, so that late events find nobody.
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<size_t> free_slots_;
  uint32_t generation_ = 0;
  std::priority_queue<Wait> waits_;
  std::vector<char> read_buffer_;
  uint64_t flushed_ns_ = 0;
  uint64_t stats_ns_ = 0;
  bool stopping_ = false;
};

}  // namespace sluice::relay
