// sluice passwd: a line for a users file.
#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <ostream>

#include "relay/cli/commands.h"
#include "relay/config/users_file.h"

namespace sluice::relay {
namespace {

// Keeps the terminal from showing what is typed.
class HiddenInput {
 public:
  HiddenInput() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios hidden = before_;
    hidden.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden) == 0;
  }
  ~HiddenInput() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  HiddenInput(const HiddenInput&) = delete;
  HiddenInput& operator=(const HiddenInput&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

std::string readLine() {
  std::string line;
  std::getline(std::cin, line);
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string ask(const char* prompt, std::ostream& err) {
  err << prompt << std::flush;
  const HiddenInput hidden;
  std::string line = readLine();
  err << std::endl;
  return line;
}

struct PasswdOptions {
  std::string user;
  UsersLineOptions line;
  bool no_scram = false;
};

int passwd(const CliContext& context, PasswdOptions& options) {
  std::string password;
  if (isatty(STDIN_FILENO) == 1) {
    password = ask("Password: ", context.err);
    std::string again = ask("Once more: ", context.err);
    const bool same = password == again;
    net::wipe(again);
    if (!same) {
      context.err << "sluice: the two are not the same" << std::endl;
      return kExitFailed;
    }
  } else {
    password = readLine();
  }
  options.line.scram = !options.no_scram;
  const auto line = usersLine(options.user, password, options.line);
  net::wipe(password);
  if (!line) {
    context.err << "sluice: " << line.error().detail << std::endl;
    return kExitFailed;
  }
  context.out << *line << std::endl;
  return kExitOk;
}

}  // namespace

void addPasswdCommand(CLI::App& app, CliContext& context) {
  CLI::App* command =
      app.add_subcommand("passwd", "Print a line for a users file (users_file of [[receive]])");
  command->footer(
      "The password is asked for, or read from standard input when that is no terminal; it is no\n"
      "argument, which others could see. The line holds no password, but what one can be checked\n"
      "by: keep the file secret all the same (chmod 600).\n"
      "Exit codes: 0 done, 1 no such name or password, 2 wrong usage.\n"
      "Example: sluice passwd ann --sender ann@example.com >> /etc/sluice/users");
  const auto options = std::make_shared<PasswdOptions>();
  command->add_option("USER", options->user, "The name to authenticate with")->required();
  command
      ->add_option("--sender", options->line.senders,
                   "Hold the user to this reverse-path: ann@example.com, @example.com or <> "
                   "(may be given several times)")
      ->type_name("PATH");
  command
      ->add_option("--from", options->line.authors,
                   "Hold the user to this author in From: ann@example.com or @example.com (may be "
                   "given several times)")
      ->type_name("AUTHOR");
  command->add_option("--rate", options->line.rate, "Messages in a time: 30/m")->type_name("RATE");
  command->add_option("--quota", options->line.quota, "Recipients in a day (UTC)")
      ->type_name("NUMBER");
  command->add_flag("--no-scram", options->no_scram,
                    "Leave out the verifier for SCRAM-SHA-256, which is quicker to attack than the "
                    "one for PLAIN and LOGIN if the file is stolen");
  command->callback([&context, options] { context.exit_code = passwd(context, *options); });
}

}  // namespace sluice::relay
