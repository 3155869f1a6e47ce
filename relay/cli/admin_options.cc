#include "relay/cli/admin_options.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <ostream>
#include <sstream>

#include "net/http/url.h"
#include "relay/cli/table.h"

namespace sluice::relay {
namespace {

using nlohmann::ordered_json;

// The first line of a token file.
std::optional<std::string> readToken(const std::string& path) {
  std::ifstream file(path);
  std::string token;
  if (!file.is_open() || !std::getline(file, token)) return std::nullopt;
  while (!token.empty() && (token.back() == '\r' || token.back() == ' ')) token.pop_back();
  return token;
}

// The address to connect to for one that is listened on.
AdminTarget targetOf(const AdminConfig& admin) {
  AdminTarget target;
  if (admin.listen.port == 0) return target;
  target.port = admin.listen.port;
  target.host = admin.listen.address.toString();
  if (target.host == "0.0.0.0") target.host = "127.0.0.1";
  if (target.host == "::") target.host = "::1";
  return target;
}

}  // namespace

void addAdminOptions(CLI::App& command, CliContext& context, AdminOptions& options) {
  command
      .add_option("--admin", options.url, "Admin address of the relay; else the configuration's")
      ->type_name("URL");
  command
      .add_option("--token-file", options.token_file,
                  "File with the admin token; else $SLUICE_ADMIN_TOKEN, else the configuration's")
      ->type_name("FILE");
  command.add_flag("--json", options.json, "Print what the admin API answers");
  addConfigOption(command, context);
}

AdminSession::AdminSession(CliContext& context, const AdminOptions& options) : context_(context) {
  AdminTarget target;
  std::string token;
  if (options.url.empty()) {
    // A configuration with mistakes elsewhere still says where the relay is.
    const LoadedConfig loaded = context.loadConfig();
    mistakes_ = loaded.mistakes;
    target = targetOf(loaded.config.admin);
    token = loaded.config.admin.token;
  } else {
    const auto parsed = parseAdminUrl(options.url);
    if (!parsed) {
      tell(parsed.error().detail);
      return;
    }
    target = *parsed;
  }
  if (const char* variable = std::getenv("SLUICE_ADMIN_TOKEN"); variable && *variable != '\0') {
    token = variable;
  }
  if (!options.token_file.empty()) {
    const auto read = readToken(options.token_file);
    if (!read) {
      tell("cannot read " + options.token_file);
      return;
    }
    token = *read;
  }
  target.token = std::move(token);
  client_.emplace(std::move(target));
}

void AdminSession::tell(const std::string& what) {
  std::istringstream lines(what);  // a reload's mistakes are several
  for (std::string line; std::getline(lines, line);) {
    context_.err << "sluice: " << printable(line) << '\n';
  }
  context_.exit_code = kExitFailed;
}

std::optional<std::string> AdminSession::bodyOf(const Result<AdminAnswer>& answer) {
  if (!answer) {
    tell(client_->url() + ": " + answer.error().detail + " (is the relay running there?)");
    for (const ConfigMistake& mistake : mistakes_) context_.err << mistake.toString() << '\n';
    return std::nullopt;
  }
  if (answer->ok()) return answer->body;
  const auto error = ordered_json::parse(answer->body, nullptr, false);
  const std::string what = error.is_object() ? memberText(error, "error") : "";
  tell(what.empty() ? "the relay answers with status " + std::to_string(answer->status) : what);
  return std::nullopt;
}

std::optional<ordered_json> AdminSession::parsed(const std::optional<std::string>& body) {
  if (!body) return std::nullopt;
  auto json = ordered_json::parse(*body, nullptr, false);
  if (json.is_object()) return json;
  tell(client_->url() + ": this is no answer of an admin address");
  return std::nullopt;
}

std::optional<ordered_json> AdminSession::get(const std::string& path) {
  if (!client_) return std::nullopt;
  return parsed(bodyOf(client_->get(path)));
}

std::optional<ordered_json> AdminSession::find(const std::string& path, bool& missing) {
  missing = false;
  if (!client_) return std::nullopt;
  const auto answer = client_->get(path);
  missing = answer && answer->status == 404;
  return missing ? std::nullopt : parsed(bodyOf(answer));
}

std::optional<ordered_json> AdminSession::post(const std::string& path, const ordered_json& body) {
  if (!client_) return std::nullopt;
  return parsed(bodyOf(
      client_->post(path, body.dump(-1, ' ', false, ordered_json::error_handler_t::replace))));
}

std::optional<std::string> AdminSession::getBytes(const std::string& path) {
  if (!client_) return std::nullopt;
  return bodyOf(client_->get(path));
}

std::optional<ordered_json> AdminSession::getList(const std::string& path, const std::string& query,
                                                  size_t limit, size_t page) {
  ordered_json items = ordered_json::array();
  std::string cursor;
  for (;;) {
    std::string url = path + "?limit=" + std::to_string(std::min(limit - items.size(), page));
    if (!query.empty()) url += "&" + query;
    if (!cursor.empty()) url += "&cursor=" + net::percentEncode(cursor);
    const auto answer = get(url);
    if (!answer) return std::nullopt;
    const auto got = answer->find("items");
    if (got == answer->end() || !got->is_array()) return parsed("");
    for (const ordered_json& item : *got) {
      if (item.is_object() && items.size() < limit) items.push_back(item);
    }
    std::string next = memberText(*answer, "next");
    const bool stuck = !next.empty() && next == cursor;
    cursor = std::move(next);
    if (cursor.empty() || items.size() >= limit || stuck) break;
  }
  const ordered_json next = cursor.empty() ? ordered_json() : ordered_json(cursor);
  return ordered_json{{"items", std::move(items)}, {"next", next}};
}

std::string memberText(const ordered_json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end() || member->is_null()) return "";
  if (member->is_string()) return member->get<std::string>();
  return member->dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

uint64_t memberCount(const ordered_json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_number_unsigned() ? member->get<uint64_t>() : 0;
}

bool memberFlag(const ordered_json& object, const char* name) {
  const auto member = object.find(name);
  return member != object.end() && member->is_boolean() && member->get<bool>();
}

const ordered_json& memberObject(const ordered_json& object, const char* name) {
  static const ordered_json kNone;
  const auto member = object.find(name);
  return member != object.end() && member->is_object() ? *member : kNone;
}

std::string whyText(const ordered_json& object) {
  const ordered_json& why = memberObject(object, "why");
  return why.is_null() ? "" : memberText(why, "text");
}

std::string memberAge(const ordered_json& object, const char* name) {
  const auto time = parseTime(memberText(object, name));
  if (!time) return "";
  return shortDuration(
      std::chrono::duration_cast<std::chrono::seconds>(Clock::system().wall() - *time));
}

std::string memberUntil(const ordered_json& object, const char* name) {
  const auto time = parseTime(memberText(object, name));
  if (!time) return "";
  return shortDuration(
      std::chrono::duration_cast<std::chrono::seconds>(*time - Clock::system().wall()));
}

}  // namespace sluice::relay
