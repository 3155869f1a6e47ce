#include "relay/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace sluice::relay {
namespace {

// Sanitizers run programs and trace themselves to report what they find.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr std::array kNeverNeeded{
    // Other programs.
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    // Other processes.
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    // File systems and namespaces.
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(quotactl),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    // The kernel and the machine.
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(syslog),
    SCMP_SYS(vhangup),
    SCMP_SYS(personality),
    SCMP_SYS(modify_ldt),
};

// Sockets but those of IP, of this machine, and of the resolver's questions about it.
constexpr std::array kForeignSockets{AF_PACKET, AF_ALG, AF_VSOCK, AF_BLUETOOTH, AF_CAN, AF_TIPC};

tl::unexpected<Error> failErrno(const std::string& what) {
  return fail(Errc::Io, "[process] " + what + ": " + std::strerror(errno));
}

// The queue's directory, if it has to be made, is made by whoever may.
Result<void> giveDirectory(const std::string& path, uid_t user, gid_t group) {
  if (::mkdir(path.c_str(), 0700) == 0) {
    if (::chown(path.c_str(), user, group) != 0) return failErrno("cannot give data_dir away");
  }
  return {};  // what is wrong with it otherwise, the queue says
}

Result<void> becomeUser(const Config& config) {
  const ProcessConfig& process = config.process;
  const passwd* entry = ::getpwnam(process.user.c_str());
  if (entry == nullptr)
    return fail(Errc::InvalidArgument,
                "[process] user: there is no \"" + process.user + "\" on this machine");
  const uid_t user = entry->pw_uid;
  gid_t group = entry->pw_gid;
  if (!process.group.empty()) {
    const struct group* named = ::getgrnam(process.group.c_str());
    if (named == nullptr)
      return fail(Errc::InvalidArgument,
                  "[process] group: there is no \"" + process.group + "\" on this machine");
    group = named->gr_gid;
  }
  if (::geteuid() == user && ::getuid() == user && ::getegid() == group) return {};
  if (::geteuid() != 0) {
    return fail(Errc::InvalidArgument, "[process] user: only root can become \"" + process.user +
                                           "\": start as root, or "
                                           "as that user without this key");
  }
  RETURN_IF_ERROR(giveDirectory(config.data_dir, user, group));
  if (process.group.empty() ? ::initgroups(process.user.c_str(), group) != 0
                            : ::setgroups(1, &group) != 0) {
    return failErrno("cannot leave root's groups");
  }
  if (::setresgid(group, group, group) != 0) return failErrno("cannot become the group");
  if (::setresuid(user, user, user) != 0) return failErrno("cannot become the user");
  if (user != 0 && (::setuid(0) == 0 || ::seteuid(0) == 0)) {
    return fail(Errc::Io, "[process] user: could become root again");
  }
  return {};
}

// Of a user that is not root: such as CAP_NET_BIND_SERVICE, for ports that are bound by now. A
// supervisor that gave some and lets nobody give them up has its reasons.
void dropCapabilities() {
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2]{};
  ::syscall(SYS_capset, &header, none);
}

}  // namespace

Result<void> dropPrivileges(const Config& config) {
  if (!config.process.user.empty()) RETURN_IF_ERROR(becomeUser(config));
  if (::geteuid() != 0) dropCapabilities();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failErrno("no_new_privs");
  return {};
}

Result<void> enterSandbox() {
  if (kSanitized) return {};
  const std::unique_ptr<void, decltype(&seccomp_release)> filter(seccomp_init(SCMP_ACT_ALLOW),
                                                                 &seccomp_release);
  const auto unsupported = [](int error) {
    return fail(Errc::Unsupported, std::string("[process] sandbox: ") + std::strerror(-error) +
                                       ": sandbox = false goes without");
  };
  if (!filter) return unsupported(-ENOMEM);
  constexpr uint32_t kRefused = SCMP_ACT_ERRNO(EPERM);
  for (const int call : kNeverNeeded) {
    const int error = seccomp_rule_add(filter.get(), kRefused, call, 0);
    if (error != 0) return unsupported(error);
  }
  for (const int family : kForeignSockets) {
    const int error = seccomp_rule_add(filter.get(), kRefused, SCMP_SYS(socket), 1,
                                       SCMP_A0(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
    if (error != 0) return unsupported(error);
  }
  if (const int error = seccomp_load(filter.get()); error != 0) return unsupported(error);
  return {};
}

}  // namespace sluice::relay
