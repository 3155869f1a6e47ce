// How does a question get to a name server and its answer back? c-ares on the loop.
//
// c-ares sends, matches answers by address, id and question, turns to the next server, and to TCP
// when an answer is truncated. It keeps one UDP port per server and channel as long as questions
// are open there, so a channel gets two questions at a time and then waits until it is idle:
// ports change as they should (RFC 5452 section 9.2). Only when all channels are busy are they
// shared. Ids come from a secure generator. One a shard, on its thread; answers never come from
// within ask().
#pragma once

#include <ares.h>

#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/result.h"
#include "net/base/unique_function.h"
#include "net/dns/dns_message.h"
#include "net/dns/resolver.h"
#include "net/loop.h"
#include "net/uv_handle.h"

namespace sluice::net {

class DnsTransport {
 public:
  // A whole message with the right id and question, not decoded. Errors: Timeout, DnsFailed (the
  // servers refuse or fail), Busy (kMaxQuestions are open), InvalidArgument (not a name).
  using Done = UniqueFunction<void(Result<std::string>)>;

  static constexpr size_t kMaxChannels = 256;  // 74 KB each
  static constexpr size_t kMaxIdleChannels = 16;
  static constexpr int kQuestionsPerTurn = 2;  // of a channel, from idle to idle
  static constexpr size_t kMaxQuestions = 8192;

  // Errors: Io (no resolv.conf that can be read, no memory).
  static Result<std::unique_ptr<DnsTransport>> create(Loop& loop, const ResolverOptions& options);
  ~DnsTransport();

  void ask(std::string_view name, DnsType type, Done done);
  // Reads resolv.conf again, if the servers come from there; open questions stay where they are.
  // Errors: Io (the servers stay as they were).
  Result<void> readServers();
  // No question takes longer, whatever trickles in.
  Duration longest() const { return longest_; }

 private:
  struct Question;
  struct Sent;
  struct Socket;
  struct Channel;

  DnsTransport(Loop& loop, const ResolverOptions& options);
  Channel* pickChannel();
  void send(Question& question);
  void onAnswer(Question& question, int status, std::string_view message);
  void scheduleSettling();
  void settle();
  void settleOne(Question& question);
  void finish(Question& question, Result<std::string> result);

  Loop& loop_;
  const std::vector<Endpoint> configured_servers_;
  const std::chrono::milliseconds timeout_;
  const int attempts_;
  const bool want_ad_;
  std::string servers_;  // as ares_set_servers_ports_csv() takes them
  Duration longest_{};

  std::list<std::unique_ptr<Question>> questions_;
  std::vector<Question*> answered_;  // to be settled when c-ares has returned
  std::vector<std::unique_ptr<Channel>> channels_;
  size_t next_shared_ = 0;               // index into channels_
  bool settling_ = false;                // scheduled
  std::shared_ptr<DnsTransport*> self_;  // what deferred work looks for; expires with us
};

}  // namespace sluice::net
