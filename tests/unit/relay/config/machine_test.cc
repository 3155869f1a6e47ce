// What a container gives us is less than what its host has, and that is what counts.
#include "relay/config/machine.h"

#include "tests/unit/relay/config/config_scene.h"

namespace sluice::relay {
namespace {

// A made-up /proc and /sys/fs/cgroup with 16 GiB of memory.
class Machine : public testing::Test {
 protected:
  Machine() { folder_.file("proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n"); }
  MachineFiles files() const {
    return {folder_.path() + "/proc", folder_.path() + "/cgroup", folder_.path() + "/hosts"};
  }
  TestFolder folder_;
};

constexpr uint64_t kGiB = 1ull << 30;

TEST_F(Machine, WithoutControlGroupsTheWholeMachineIsOurs) {
  EXPECT_EQ(usableMemoryBytes(files()), 16 * kGiB);
  EXPECT_GE(usableCores(files()), 1);
}

TEST_F(Machine, ALimitOfTheUnifiedHierarchyCounts) {
  folder_.file("proc/self/cgroup", "0::/system.slice/sluice.service\n");
  folder_.file("cgroup/system.slice/sluice.service/memory.max", "1073741824\n");
  folder_.file("cgroup/system.slice/sluice.service/cpu.max", "50000 100000\n");
  EXPECT_EQ(usableMemoryBytes(files()), kGiB);
  EXPECT_EQ(usableCores(files()), 1);
}

TEST_F(Machine, ALimitOfAGroupAboveCountsToo) {
  folder_.file("proc/self/cgroup", "0::/a/b\n");
  folder_.file("cgroup/a/memory.max", "1073741824\n");
  folder_.file("cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(usableMemoryBytes(files()), kGiB);
}

// Inside a container the mount is our group, and the path is the host's.
TEST_F(Machine, ALimitAtTheMountCountsWhateverThePathSays) {
  folder_.file("proc/self/cgroup", "0::/kubepods/pod1/c1\n");
  folder_.file("cgroup/memory.max", "536870912\n");
  EXPECT_EQ(usableMemoryBytes(files()), kGiB / 2);
}

TEST_F(Machine, ALimitOfTheOldHierarchyCounts) {
  folder_.file("proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/c\n0::/\n");
  folder_.file("cgroup/memory/m/memory.limit_in_bytes", "1073741824\n");
  folder_.file("cgroup/cpu,cpuacct/c/cpu.cfs_quota_us", "100000\n");
  folder_.file("cgroup/cpu,cpuacct/c/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(usableMemoryBytes(files()), kGiB);
  EXPECT_EQ(usableCores(files()), 1);
}

TEST_F(Machine, NoLimitInEitherHierarchyIsNone) {
  folder_.file("proc/self/cgroup", "5:memory:/m\n0::/u\n");
  folder_.file("cgroup/memory/m/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(usableMemoryBytes(files()), 16 * kGiB);
}

TEST_F(Machine, NonsenseFromTheKernelIsNoLimit) {
  folder_.file("proc/self/cgroup", "nonsense\n0:\n::\n0::/a\n");
  folder_.file("cgroup/a/memory.max", "-5\n");
  folder_.file("cgroup/a/cpu.max", "100000 0\n");
  EXPECT_EQ(usableMemoryBytes(files()), 16 * kGiB);
  EXPECT_GE(usableCores(files()), 1);
}

TEST_F(Machine, TheFullNameComesFromTheHostsFile) {
  folder_.file("hosts", "127.0.0.1 localhost\n127.0.1.1 mail.example.com mail # us\n");
  EXPECT_EQ(fullNameOf("mail", files()), "mail.example.com");
  EXPECT_EQ(fullNameOf("other", files()), "other");
  EXPECT_EQ(fullNameOf("mail.example.net", files()), "mail.example.net");
}

TEST_F(Machine, ANameThatSmtpCannotSayIsMadeFit) {
  EXPECT_EQ(fullNameOf("My_Host", files()), "my-host");
  EXPECT_EQ(fullNameOf("", files()), "localhost");
  EXPECT_EQ(fullNameOf("12345", files()), "localhost");
}

TEST_F(Machine, Ipv6LoopbackIsSeen) {
  EXPECT_FALSE(hasIpv6Loopback(files()));
  folder_.file("proc/net/if_inet6", "00000000000000000000000000000001 01 80 10 80       lo\n");
  EXPECT_TRUE(hasIpv6Loopback(files()));
}

}  // namespace
}  // namespace sluice::relay
