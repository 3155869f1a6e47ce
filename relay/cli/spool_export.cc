#include "relay/cli/spool_export.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

tl::unexpected<Error> failed(const std::string& path, int error) {
  return fail(error == ENOSPC || error == EDQUOT ? Errc::NoSpace : Errc::Io,
              "cannot write " + path + ": " + std::strerror(error));
}

// The value of NOTIFY (RFC 3461 section 4.1), empty where it was not given.
std::string notifyText(const queue::Notify& notify) {
  if (!notify.set) return "";
  if (notify.never) return "NEVER";
  std::string out;
  const auto add = [&out](bool asked, const char* word) {
    if (asked) out += (out.empty() ? "" : ",") + std::string(word);
  };
  add(notify.success, "SUCCESS");
  add(notify.failure, "FAILURE");
  add(notify.delay, "DELAY");
  return out;
}

std::string retText(queue::Ret ret) {
  switch (ret) {
    case queue::Ret::Unset:
      break;
    case queue::Ret::Full:
      return "FULL";
    case queue::Ret::Headers:
      return "HDRS";
  }
  return "";
}

ordered_json recipientJson(const queue::RecipientStatus& status, const queue::Envelope& envelope) {
  const auto of = std::find_if(
      envelope.recipients.begin(), envelope.recipients.end(),
      [&](const queue::Recipient& each) { return each.forward_path == status.recipient; });
  ordered_json out{{"recipient", status.recipient}};
  if (of != envelope.recipients.end()) {
    out["notify"] = notifyText(of->notify);
    out["orcpt"] = of->orcpt;
  }
  out["state"] = queue::toString(status.state);
  out["attempts"] = status.attempts.attempts;
  out["last_reply"] = status.attempts.last_reply;
  return out;
}

}  // namespace

std::string envelopeJson(const queue::SpoolMessage& message) {
  const queue::Envelope& envelope = *message.envelope;
  ordered_json recipients = ordered_json::array();
  for (const auto& each : message.recipients) recipients.push_back(recipientJson(each, envelope));
  const ordered_json out{
      {"id", message.id.toString()},
      {"sender", envelope.reverse_path.empty() ? "<>" : envelope.reverse_path},
      {"received", formatRfc3339(envelope.received_at)},
      {"client", envelope.client},
      {"body", envelope.body == queue::BodyType::EightBitMime ? "8BITMIME" : "7BIT"},
      {"smtputf8", envelope.smtputf8},
      {"requiretls", envelope.require_tls},
      {"ret", retText(envelope.ret)},
      {"envid", envelope.envid},
      {"content_whole", message.content_whole},
      {"recipients", recipients}};
  // Paths may hold any byte; JSON may not.
  return out.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

Result<SpoolExport> SpoolExport::create(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return failed(folder, errno);
  std::error_code error;
  const bool empty = std::filesystem::is_empty(folder, error);
  if (error) return fail(Errc::Io, "cannot read " + folder + ": " + error.message());
  if (!empty) return fail(Errc::Exists, folder + " is not empty");
  return SpoolExport(folder);
}

Result<void> SpoolExport::writeFile(const std::string& name, std::string_view bytes) {
  const std::string path = folder_ + "/" + name;
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return failed(path, errno);
  int error = 0;
  while (error == 0 && !bytes.empty()) {
    const ssize_t count = ::write(file, bytes.data(), bytes.size());
    if (count > 0) bytes.remove_prefix(static_cast<size_t>(count));
    if (count < 0 && errno != EINTR) error = errno;
  }
  if (::close(file) != 0 && error == 0) error = errno;
  if (error != 0) return failed(path, error);
  return {};
}

void SpoolExport::write(const queue::SpoolMessage& message) {
  if (!state_) return;
  const std::string id = message.id.toString();
  state_ = writeFile(id + (message.content_whole ? ".eml" : ".partial"), message.content);
  if (state_) state_ = writeFile(id + ".json", envelopeJson(message));
  if (state_ && message.content_whole) ++whole_;
}

Result<uint64_t> SpoolExport::finish() {
  RETURN_IF_ERROR(state_);
  // One sync for all: whoever exports may remove the queue next.
  const int folder = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return failed(folder_, errno);
  const int error = ::syncfs(folder) == 0 ? 0 : errno;
  ::close(folder);
  if (error != 0) return failed(folder_, error);
  return whole_;
}

}  // namespace sluice::relay
