// What a service manager hands over is taken as it says, and nothing else is.
#include "net/inherited_sockets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>

#include "net/listener.h"

namespace sluice::net {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kPid = 42;

Result<std::vector<InheritedSocket>> with(std::map<std::string, std::string> variables) {
  return inheritedSockets(
      [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional(found->second);
      },
      kPid);
}

TEST(InheritedSockets, NobodyHandedAny) { EXPECT_THAT(*with({}), IsEmpty()); }

TEST(InheritedSockets, ThoseForAnotherProcessAreNotOurs) {
  EXPECT_THAT(*with({{"LISTEN_PID", "41"}, {"LISTEN_FDS", "1"}}), IsEmpty());
}

TEST(InheritedSockets, ACountThatCannotBeIsAMistake) {
  for (const char* count : {"-1", "x", "99999999999", "2000"}) {
    EXPECT_FALSE(with({{"LISTEN_PID", "42"}, {"LISTEN_FDS", count}})) << count;
  }
}

// In a process of its own, which may do with descriptor 3 as it likes.
template <class Body>
void inAChild(Body body) {
  EXPECT_EXIT(
      {
        body();
        std::_Exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(InheritedSockets, AListenerComesWithItsNameAndAddress) {
  inAChild([] {
    const auto bound = bindListener(*Endpoint::parse("127.0.0.1:0"));
    ASSERT_TRUE(bound);
    ASSERT_EQ(::listen(*bound, 5), 0);
    const Endpoint at = localEndpoint(*bound);
    ASSERT_EQ(::dup2(*bound, 3), 3);
    auto sockets = with({{"LISTEN_PID", "42"}, {"LISTEN_FDS", "1"}, {"LISTEN_FDNAMES", "apps"}});
    ASSERT_TRUE(sockets) << sockets.error().detail;
    ASSERT_THAT(*sockets, SizeIs(1));
    EXPECT_EQ(sockets->front().name(), "apps");
    EXPECT_EQ(sockets->front().at(), at);
    const auto copy = sockets->front().duplicate();
    ASSERT_TRUE(copy);
    EXPECT_EQ(localEndpoint(*copy), at);
  });
}

TEST(InheritedSockets, WhatDoesNotListenIsAMistake) {
  inAChild([] {
    const int socket = ::socket(AF_INET, SOCK_DGRAM, 0);
    ASSERT_EQ(::dup2(socket, 3), 3);
    const auto sockets = with({{"LISTEN_PID", "42"}, {"LISTEN_FDS", "1"}});
    ASSERT_FALSE(sockets);
    EXPECT_THAT(sockets.error().detail, HasSubstr("descriptor 3"));
  });
}

}  // namespace
}  // namespace sluice::net
