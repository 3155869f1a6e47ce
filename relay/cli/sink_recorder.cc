#include "relay/cli/sink_recorder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "net/base/clock.h"
#include "relay/cli/sink_report.h"
#include "relay/cli/tool_socket.h"

namespace sluice::relay {
namespace {

using nlohmann::json;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// Written beside and renamed, so that who looks sees all of it or nothing.
bool writeWhole(const std::string& path, std::string_view bytes) {
  const std::string beside = path + ".tmp";
  std::FILE* file = std::fopen(beside.c_str(), "wbe");
  if (!file) return false;
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  const bool closed = std::fclose(file) == 0;
  if (written && closed && std::rename(beside.c_str(), path.c_str()) == 0) return true;
  std::remove(beside.c_str());
  return false;
}

}  // namespace

json envelopeOf(const SinkMessage& message, const SinkIdentity& identity, WallTime now) {
  json recipients = json::array();
  for (const SinkRecipient& recipient : message.recipients) {
    recipients.push_back({{"recipient", recipient.path}, {"parameters", recipient.parameters}});
  }
  return {{"time", formatRfc3339(now)},
          {"id", std::string(identity.id)},
          {"client", std::string(message.client)},
          {"helo", std::string(message.helo)},
          {"sender", std::string(message.sender)},
          {"parameters", std::string(message.mail_parameters)},
          {"recipients", std::move(recipients)},
          {"size", message.content.size()},
          {"chunked", message.chunked},
          {"duplicates", identity.duplicates},
          {"damaged", identity.damaged}};
}

SinkRecorder::SinkRecorder(SinkRecorderOptions options, SinkTally& tally, std::ostream& out)
    : options_(std::move(options)), tally_(tally), out_(out) {
  start_us_ = static_cast<uint64_t>(Clock::system().wall().time_since_epoch().count());
}

Result<std::unique_ptr<SinkRecorder>> SinkRecorder::create(SinkRecorderOptions options,
                                                           SinkTally& tally, std::ostream& out) {
  std::unique_ptr<SinkRecorder> recorder(new SinkRecorder(std::move(options), tally, out));
  const SinkRecorderOptions& set = recorder->options_;
  if (!set.maildir.empty() && mkdir(set.maildir.c_str(), 0700) < 0 && errno != EEXIST) {
    return fail(Errc::Io, set.maildir + ": " + std::strerror(errno));
  }
  if (!set.ids_file.empty()) {
    recorder->ids_.reset(std::fopen(set.ids_file.c_str(), "ae"));
    if (!recorder->ids_) return fail(Errc::Io, set.ids_file + ": " + std::strerror(errno));
  }
  return recorder;
}

bool SinkRecorder::keep(const SinkMessage& message) {
  const SinkIdentity identity = tally_.onMessage(message, steadyNs());
  ++number_;
  if (!options_.maildir.empty() || options_.verbose) {
    const json envelope = envelopeOf(message, identity, Clock::system().wall());
    if (!options_.maildir.empty() && !writeFiles(message, envelope)) return false;
    if (options_.verbose) out_ << dump(envelope) << '\n';
  }
  writeIds(message, identity);
  return true;
}

void SinkRecorder::writeIds(const SinkMessage& message, const SinkIdentity& identity) {
  for (const SinkRecipient& recipient : message.recipients) {
    writeId(identity.id, recipient.path, "\n");
  }
  if (!message.sender.empty()) return;
  const FailureReport report = readFailureReport(message.content);
  if (!report.id.empty()) tally_.onReport();
  for (const std::string_view recipient : report.recipients) {
    writeId(report.id, recipient, " failed\n");
  }
}

void SinkRecorder::writeId(std::string_view id, std::string_view recipient, std::string_view rest) {
  if (!ids_) return;
  std::fwrite(id.data(), 1, id.size(), ids_.get());
  std::fputc(' ', ids_.get());
  std::fwrite(recipient.data(), 1, recipient.size(), ids_.get());
  std::fwrite(rest.data(), 1, rest.size(), ids_.get());
}

bool SinkRecorder::writeFiles(const SinkMessage& message, const json& envelope) {
  const std::string name = fmt::format("{}/{}.{:09}", options_.maildir, start_us_, number_);
  return writeWhole(name + ".json", dump(envelope) + "\n") &&
         writeWhole(name + ".eml", message.content);
}

Result<void> SinkRecorder::flush() {
  if (options_.verbose) out_.flush();
  if (ids_ && std::fflush(ids_.get()) != 0) {
    return fail(Errc::Io, options_.ids_file + ": " + std::strerror(errno));
  }
  return {};
}

}  // namespace sluice::relay
