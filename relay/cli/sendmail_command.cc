#include "relay/cli/sendmail_command.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ostream>
#include <utility>

#include "net/smtp/path.h"
#include "net/smtp/xtext.h"
#include "net/tls/crypto.h"
#include "relay/cli/commands.h"
#include "relay/cli/local_relay.h"
#include "relay/cli/sendmail_arguments.h"
#include "relay/cli/table.h"
#include "relay/submit/local_message.h"
#include "relay/submit/submission.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxInputBytes = size_t{256} << 20;  // larger ones the relay refuses anyway

int tell(const CliContext& context, std::string_view what, int exit_code) {
  context.err << "sendmail: " << printable(what) << '\n';
  return exit_code;
}

Result<std::string> readInput() {
  std::string text;
  std::array<char, 64 * 1024> buffer;
  for (;;) {
    const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (count == 0) return text;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail(Errc::Io, std::string("standard input: ") + std::strerror(errno));
    if (text.size() + static_cast<size_t>(count) > kMaxInputBytes) {
      return fail(Errc::TooLarge, "the message is larger than 256 MiB");
    }
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

struct Login {
  std::string name;
  std::string full_name;  // of the GECOS field
};

Login loginOfProcess() {
  const passwd* entry = ::getpwuid(::getuid());
  if (entry == nullptr) return {"nobody", {}};
  Login login{entry->pw_name, entry->pw_gecos ? entry->pw_gecos : ""};
  login.full_name = login.full_name.substr(0, login.full_name.find(','));
  return login;
}

// Without angle brackets; a name without a domain is one of this machine.
std::string completed(std::string_view path, const std::string& hostname) {
  if (path.size() >= 2 && path.front() == '<' && path.back() == '>') {
    path = path.substr(1, path.size() - 2);
  }
  if (path.empty() || path.find('@') != std::string_view::npos) return std::string(path);
  return std::string(path) + "@" + hostname;
}

std::string uniqueName() {
  std::array<uint8_t, 8> random{};
  net::randomBytes(random);
  return fmt::format("{:x}.{}", Clock::system().wall().time_since_epoch().count(),
                     net::hexEncode(net::asView(random)));
}

// Errors: InvalidArgument (an address that cannot be).
Result<Submission> submissionOf(const SendmailArguments& arguments, const LocalRelay& relay,
                                std::string_view text) {
  const Login login = loginOfProcess();
  Submission submission;
  submission.sender =
      completed(arguments.has_sender ? arguments.sender : login.name, relay.hostname);
  LocalMessageOptions options;
  options.dot_ends = arguments.dot_ends;
  options.take_recipients = arguments.take_recipients;
  options.from =
      submission.sender.empty() ? completed(login.name, relay.hostname) : submission.sender;
  options.full_name = !arguments.full_name.empty() ? arguments.full_name
                      : arguments.has_sender       ? ""
                                                   : login.full_name;
  options.hostname = relay.hostname;
  options.unique = uniqueName();
  options.now = Clock::system().wall();
  const LocalMessage message = readLocalMessage(text, options);
  for (const auto* list : {&arguments.recipients, &message.recipients}) {
    for (const std::string& one : *list) {
      submission.recipients.push_back({completed(one, relay.hostname), arguments.notify, ""});
    }
  }
  const auto check = [&submission](const std::string& path) -> Result<void> {
    const auto parsed = smtp::parseMailbox(path, true);
    if (!parsed) return fail(Errc::InvalidArgument, path + ": " + parsed.error().detail);
    submission.smtputf8 |= !smtp::isAscii(path);
    return {};
  };
  if (!submission.sender.empty()) RETURN_IF_ERROR(check(submission.sender));
  for (const SubmittedRecipient& one : submission.recipients) RETURN_IF_ERROR(check(one.path));
  submission.smtputf8 |= message.utf8_header;
  submission.eight_bit = message.eight_bit;
  submission.content = message.content;
  submission.ret = arguments.ret;
  if (!arguments.envid.empty()) submission.envid = smtp::encodeXtext(arguments.envid);
  return submission;
}

int exitCodeOf(const SubmissionOutcome& outcome) {
  if (outcome.allTaken()) return EX_OK;
  if (outcome.failure) return EX_TEMPFAIL;
  bool temporary = outcome.reply && outcome.reply->transient();
  for (const smtp::Reply& reply : outcome.recipient_replies) temporary |= reply.transient();
  if (outcome.taken) return EX_NOUSER;  // by some: a repetition would reach these twice
  return temporary ? EX_TEMPFAIL : EX_UNAVAILABLE;
}

int deliver(const SendmailArguments& arguments, const LocalRelay& relay,
            const CliContext& context) {
  const auto text = readInput();
  if (!text) {
    return tell(context, text.error().detail,
                text.error().code == Errc::TooLarge ? EX_DATAERR : EX_IOERR);
  }
  auto submission = submissionOf(arguments, relay, *text);
  if (!submission) return tell(context, submission.error().detail, EX_DATAERR);
  if (submission->recipients.empty()) {
    return tell(context, "the header section names no recipients", EX_DATAERR);
  }
  int exit_code = EX_TEMPFAIL;
  bool told = false;
  bool given = false;
  const auto next = [&]() -> std::optional<Submission> {
    if (std::exchange(given, true)) return std::nullopt;
    return std::move(*submission);
  };
  const auto done = submitAll({relay.endpoint, relay.hostname}, next,
                              [&](const Submission& one, const SubmissionOutcome& outcome) {
                                told = true;
                                exit_code = exitCodeOf(outcome);
                                if (exit_code != EX_OK) {
                                  tell(context, outcome.toString(one), exit_code);
                                }
                              });
  if (told) return exit_code;
  return tell(
      context,
      fmt::format("{}: {}", relay.endpoint.toString(), done ? "no answer" : done.error().detail),
      EX_TEMPFAIL);
}

bool writeAll(int to, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(to, bytes.data(), bytes.size());
    if (count < 0 && errno != EINTR) return false;
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
  }
  return true;
}

// -bs: what is said here is said to the relay, and the other way round, until the relay ends it.
int talk(const LocalRelay& relay, const CliContext& context) {
  sockaddr_storage address{};
  relay.endpoint.to(address);
  const socklen_t size = relay.endpoint.address.isV4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  const int socket = ::socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0 || ::connect(socket, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    const std::string why = relay.endpoint.toString() + ": " + std::strerror(errno);
    if (socket >= 0) ::close(socket);
    return tell(context, why, EX_TEMPFAIL);
  }
  // Callers may talk at once, the relay hears nobody before it has greeted: they wait for that.
  std::array<pollfd, 2> ends{pollfd{-1, POLLIN, 0}, pollfd{socket, POLLIN, 0}};
  bool greeted = false;
  std::array<char, 64 * 1024> buffer;
  bool good = true;
  for (bool talking = true; talking;) {
    if (::poll(ends.data(), ends.size(), -1) < 0 && errno != EINTR) break;
    for (size_t i = 0; i < ends.size() && talking; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t count = ::read(ends[i].fd, buffer.data(), buffer.size());
      if (count < 0 && errno == EINTR) continue;
      if (count > 0) {
        good =
            writeAll(i == 0 ? socket : STDOUT_FILENO, {buffer.data(), static_cast<size_t>(count)});
        talking = good;
        if (!std::exchange(greeted, true)) ends[0].fd = STDIN_FILENO;
      } else if (i == 0) {
        ::shutdown(socket, SHUT_WR);
        ends[0].fd = -1;
      } else {
        talking = false;
      }
    }
  }
  ::close(socket);
  return good ? EX_OK : EX_IOERR;
}

}  // namespace

std::optional<std::span<const char* const>> calledAsSendmail(int argc, const char* const* argv) {
  const std::span<const char* const> all(argv, static_cast<size_t>(argc));
  if (all.empty()) return std::nullopt;
  std::string_view name = all[0];
  name.remove_prefix(name.rfind('/') + 1);  // npos + 1 is 0
  if (name == "sendmail") return all.subspan(1);
  if (all.size() < 2 || std::string_view(all[1]) != "sendmail") return std::nullopt;
  if (all.size() > 2 && std::string_view(all[2]) == "--help") return std::nullopt;
  return all.subspan(2);
}

int runSendmail(std::span<const char* const> arguments, CliContext& context) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto parsed = parseSendmail(arguments);
  if (!parsed) return tell(context, parsed.error().detail, EX_USAGE);
  context.config_path = parsed->config_path;
  const auto relay = findLocalRelay(context, parsed->relay);
  if (!relay) return tell(context, relay.error().detail, EX_USAGE);
  switch (parsed->mode) {
    case SendmailArguments::Mode::Deliver:
      return deliver(*parsed, *relay, context);
    case SendmailArguments::Mode::Smtp:
      return talk(*relay, context);
    case SendmailArguments::Mode::Nothing:
      return EX_OK;
  }
  return EX_SOFTWARE;
}

// The command line itself is read by runSendmail(); here it is known by name, and explained.
void addSendmailCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("sendmail", "Hand in a message as /usr/sbin/sendmail does");
  command->footer(
      "sluice sendmail [-t] [-i] [-f SENDER] [-F NAME] [-N NOTIFY] [-R RET] [-V ENVID] [-bm|-bs]\n"
      "                [--relay ADDRESS:PORT] [--config FILE] [RECIPIENT...]\n"
      "The message comes from standard input. -t takes recipients from To, Cc and Bcc; without -i\n"
      "(or -oi) a line with a dot alone ends it; -bs speaks SMTP. Also when called through a link\n"
      "named sendmail. The relay is --relay, $SLUICE_RELAY, the configuration's, or "
      "127.0.0.1:2525.\n"
      "Exit codes (sysexits.h): 0 made durable by the relay, 64 wrong usage, 65 bad addresses,\n"
      "67 some recipients refused, 69 refused, 74 cannot read, 75 not now: try again.\n"
      "Example: sluice sendmail -t -i < message.eml");
  command->callback([&context] { context.exit_code = EX_USAGE; });
}

}  // namespace sluice::relay
