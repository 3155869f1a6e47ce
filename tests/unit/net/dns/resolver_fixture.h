// A resolver that asks a fake name server, with look-ups as plain calls.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/dns/resolver.h"
#include "net/loop.h"
#include "tests/unit/net/dns/fake_name_server.h"

namespace sluice::net {

class ResolverTest : public testing::Test {
 protected:
  ResolverTest() : loop_(std::move(Loop::create().value())) {
    options_.servers = {server_.endpoint()};
    options_.timeout = std::chrono::seconds(5);  // no test waits for it: a busy machine may be slow
    options_.attempts = 2;
    options_.hosts_file = "/nonexistent";
    options_.metrics = &metrics_;
  }

  // For tests in which the server does not answer: before the first look-up.
  void giveUpSoon() { options_.timeout = std::chrono::milliseconds(200); }

  Resolver& resolver() {
    if (resolver_ == nullptr) resolver_ = std::move(Resolver::create(*loop_, options_).value());
    return *resolver_;
  }

  // Runs the loop until `done` says so. A test that hangs fails.
  template <class Condition>
  void runUntil(Condition done) {
    Deadline watchdog([this] {
      ADD_FAILURE() << "nothing happened";
      loop_->stop();
    });
    watchdog.arm(loop_->deadlines(), std::chrono::seconds(20));
    while (!done() && watchdog.armed()) uv_run(loop_->raw(), UV_RUN_ONCE);
  }

  Result<MxAnswer> mx(const std::string& domain) {
    std::optional<Result<MxAnswer>> result;
    const auto lookup =
        resolver().mx(domain, [&](Result<MxAnswer> answer) { result = std::move(answer); });
    runUntil([&] { return result.has_value(); });
    return result.value_or(fail(Errc::Cancelled, "hung"));
  }
  Result<AddressAnswer> addresses(const std::string& host) {
    std::optional<Result<AddressAnswer>> result;
    const auto lookup = resolver().addresses(
        host, [&](Result<AddressAnswer> answer) { result = std::move(answer); });
    runUntil([&] { return result.has_value(); });
    return result.value_or(fail(Errc::Cancelled, "hung"));
  }

  static std::vector<std::string> names(const Result<MxAnswer>& answer) {
    std::vector<std::string> all;
    if (!answer) return {"error: " + std::string(toString(answer.error().code))};
    for (const auto& host : answer->hosts) all.push_back(host.name);
    return all;
  }
  static std::vector<std::string> texts(const Result<AddressAnswer>& answer) {
    std::vector<std::string> all;
    if (!answer) return {"error: " + std::string(toString(answer.error().code))};
    for (const auto& address : answer->addresses) all.push_back(address.toString());
    return all;
  }
  template <class T>
  static Errc codeOf(const Result<T>& result) {
    EXPECT_FALSE(result.has_value());
    return result ? Errc::InvalidArgument : result.error().code;
  }

  static FakeReply noData(const FakeQuery& query) { return Answer(query).soa(); }
  static FakeReply silent(const FakeQuery&) { return {}; }

  FakeNameServer server_;
  DnsMetrics metrics_;
  ResolverOptions options_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Resolver> resolver_;
};

}  // namespace sluice::net
