// sluice send: hands in what `sluice spool export` wrote, or any message in a file.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "net/smtp/path.h"
#include "relay/cli/admin_options.h"
#include "relay/cli/commands.h"
#include "relay/cli/local_relay.h"
#include "relay/cli/table.h"
#include "relay/config/file_checks.h"
#include "relay/submit/local_message.h"
#include "relay/submit/submission.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

constexpr size_t kMaxContentBytes = size_t{1} << 30;
constexpr size_t kMaxEnvelopeBytes = size_t{64} << 20;

struct SendOptions {
  std::vector<std::string> files;
  std::string relay;
  std::string sender;
  std::vector<std::string> recipients;
  bool remove = false;
};

std::string bare(std::string path) {
  if (path.size() >= 2 && path.front() == '<' && path.back() == '>') {
    path = path.substr(1, path.size() - 2);
  }
  return path;
}

// The envelope beside the content, as spool export writes it.
Result<void> readEnvelope(const std::string& path, Submission& submission) {
  ASSIGN_OR_RETURN(const std::string text, readWholeFile(path, kMaxEnvelopeBytes));
  const auto json = ordered_json::parse(text, nullptr, false);
  const auto recipients = json.is_object() ? json.find("recipients") : json.end();
  if (!json.is_object() || recipients == json.end() || !recipients->is_array()) {
    return fail(Errc::Malformed, path + " is no envelope");
  }
  submission.sender = bare(memberText(json, "sender"));
  submission.eight_bit = memberText(json, "body") == "8BITMIME";
  submission.smtputf8 = memberFlag(json, "smtputf8");
  submission.ret = memberText(json, "ret");
  submission.envid = memberText(json, "envid");
  for (const ordered_json& one : *recipients) {
    if (!one.is_object()) return fail(Errc::Malformed, path + " is no envelope");
    submission.recipients.push_back(
        {bare(memberText(one, "recipient")), memberText(one, "notify"), memberText(one, "orcpt")});
  }
  return {};
}

// SMTP commands are made of these.
Result<void> checkPaths(const Submission& submission) {
  const auto check = [](const std::string& path) -> Result<void> {
    if (!smtp::parseMailbox(path, true) && path != "postmaster") {
      return fail(Errc::Malformed, "not an address: " + path);
    }
    return {};
  };
  if (!submission.sender.empty()) RETURN_IF_ERROR(check(submission.sender));
  for (const SubmittedRecipient& one : submission.recipients) RETURN_IF_ERROR(check(one.path));
  for (const std::string* word : {&submission.ret, &submission.envid}) {
    if (word->find_first_of(" \r\n") != std::string::npos) {
      return fail(Errc::Malformed, "the envelope has a broken parameter");
    }
  }
  for (const SubmittedRecipient& one : submission.recipients) {
    if ((one.notify + one.orcpt).find_first_of(" \r\n") != std::string::npos) {
      return fail(Errc::Malformed, "the envelope has a broken parameter");
    }
  }
  return {};
}

Result<Submission> readSubmission(const std::string& file, const SendOptions& options) {
  Submission submission;
  ASSIGN_OR_RETURN(const std::string text, readWholeFile(file, kMaxContentBytes));
  const std::string envelope = std::filesystem::path(file).replace_extension(".json").string();
  if (options.recipients.empty()) {
    if (!std::filesystem::exists(envelope)) {
      return fail(Errc::NotFound, "there is no " + envelope + ": name --recipient (and --sender)");
    }
    RETURN_IF_ERROR(readEnvelope(envelope, submission));
  }
  for (const std::string& one : options.recipients) {
    submission.recipients.push_back({bare(one), "", ""});
  }
  if (!options.sender.empty()) submission.sender = bare(options.sender);
  RETURN_IF_ERROR(checkPaths(submission));
  if (submission.recipients.empty()) return fail(Errc::NotFound, "it has no recipients left");
  // Exported content is as it was accepted, to the byte; others may have lines of another kind.
  const bool clean = text.find('\n') == std::string::npos || text.find("\r\n") != std::string::npos;
  if (clean) {
    submission.content = text;
  } else {
    for (const char c : text) {
      if (c == '\n') submission.content += '\r';
      submission.content += c;
    }
  }
  submission.eight_bit |= !smtp::isAscii(submission.content);
  return submission;
}

class Sending {
 public:
  Sending(const SendOptions& options, CliContext& context) : options_(options), context_(context) {}

  // Errors: what broke off the connection.
  Result<void> run(const LocalRelay& relay) {
    return submitAll(
        {relay.endpoint, relay.hostname}, [this] { return next(); },
        [this](const Submission& one, const SubmissionOutcome& outcome) { tell(one, outcome); });
  }
  size_t sent() const { return sent_; }
  size_t failed() const { return failed_; }

 private:
  std::optional<Submission> next() {
    while (at_ < options_.files.size()) {
      const std::string& file = options_.files[at_++];
      auto submission = readSubmission(file, options_);
      if (submission) {
        under_way_.push_back(file);
        return std::move(*submission);
      }
      ++failed_;
      context_.err << "sluice: " << printable(file + ": " + submission.error().detail) << '\n';
    }
    return std::nullopt;
  }

  // In the order of next().
  void tell(const Submission& submission, const SubmissionOutcome& outcome) {
    const std::string file = under_way_.at(told_++);
    const bool good = outcome.allTaken();
    ++(good ? sent_ : failed_);
    (good ? context_.out : context_.err)
        << printable(file + ": " + outcome.toString(submission)) << '\n';
    if (!good || !options_.remove) return;
    std::error_code ignored;
    std::filesystem::remove(file, ignored);
    std::filesystem::remove(std::filesystem::path(file).replace_extension(".json"), ignored);
  }

  const SendOptions& options_;
  CliContext& context_;
  size_t at_ = 0;
  size_t told_ = 0;
  std::vector<std::string> under_way_;
  size_t sent_ = 0;
  size_t failed_ = 0;
};

void send(const SendOptions& options, CliContext& context) {
  const auto relay = findLocalRelay(context, options.relay);
  if (!relay) {
    context.err << "sluice: --to: " << printable(relay.error().detail) << '\n';
    context.exit_code = kExitUsage;
    return;
  }
  Sending sending(options, context);
  const auto done = sending.run(*relay);
  if (!done) {
    context.err << "sluice: " << relay->endpoint.toString() << ": "
                << printable(done.error().detail) << '\n';
  }
  context.err << fmt::format("sent: {} of {} messages\n", sending.sent(), options.files.size());
  if (sending.sent() < options.files.size()) context.exit_code = kExitFailed;
}

}  // namespace

void addSendCommand(CLI::App& app, CliContext& context) {
  CLI::App* command = app.add_subcommand("send", "Hand in messages from files");
  command->footer(
      "Beside FILE.eml, FILE.json is its envelope: spool export writes both. --sender and "
      "--recipient\n"
      "take its place. A recipient that is refused is told; the others are served.\n"
      "Exit codes: 0 all was taken, 1 something was not, 2 wrong usage.\n"
      "Example: sluice send --remove export/*.eml");
  const auto options = std::make_shared<SendOptions>();
  command->add_option("FILE", options->files, "Messages")->required()->check(CLI::ExistingFile);
  command
      ->add_option("--to", options->relay,
                   "Relay; else $SLUICE_RELAY, else the configuration's, else 127.0.0.1:2525")
      ->type_name("ADDRESS:PORT");
  command->add_option("--sender", options->sender, "Reverse-path; <> for the null one");
  command->add_option("--recipient", options->recipients, "Forward-path")->allow_extra_args(false);
  command->add_flag("--remove", options->remove, "Remove each file that was taken whole");
  addConfigOption(*command, context);
  command->callback([&context, options] { send(*options, context); });
}

}  // namespace sluice::relay
