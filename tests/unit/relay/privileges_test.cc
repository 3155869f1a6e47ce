#include "relay/privileges.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>

namespace sluice::relay {
namespace {

// What `act` gives in a process of its own, in the sandbox.
int inSandbox(const std::function<int()>& act) {
  const pid_t child = fork();
  if (child == 0) {
    const bool confined = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && enterSandbox().has_value();
    _exit(confined ? act() : 99);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

// 0 if it is refused by EPERM.
int refused(long result) { return result == -1 && errno == EPERM ? 0 : 1; }

class Privileges : public testing::Test {
  void SetUp() override {
    if (inSandbox([] { return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2 ? 0 : 1; }) != 0) {
      GTEST_SKIP() << "no filter here";
    }
  }
};

TEST_F(Privileges, OfProgramsTracingMountsAndNamespacesAreGone) {
  EXPECT_EQ(inSandbox([] {
              char name[] = "/bin/true";
              char* const arguments[] = {name, nullptr};
              char* const environment[] = {nullptr};
              return refused(execve(name, arguments, environment));
            }),
            0);
  EXPECT_EQ(inSandbox([] { return refused(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }), 0);
  EXPECT_EQ(inSandbox([] { return refused(mount("none", "/mnt", "tmpfs", 0, nullptr)); }), 0);
  EXPECT_EQ(inSandbox([] { return refused(unshare(CLONE_NEWUSER)); }), 0);
  EXPECT_EQ(inSandbox([] { return refused(socket(AF_PACKET, SOCK_RAW, 0)); }), 0);
  EXPECT_EQ(inSandbox([] { return refused(socket(AF_ALG, SOCK_SEQPACKET, 0)); }), 0);
}

TEST_F(Privileges, LeaveWhatARelayDoes) {
  EXPECT_EQ(inSandbox([] {
              bool ran = false;
              std::thread([&] { ran = true; }).join();
              const int tcp = socket(AF_INET6, SOCK_STREAM, 0);
              const int local = socket(AF_UNIX, SOCK_STREAM, 0);
              return ran && tcp >= 0 && local >= 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace sluice::relay
