// What every command that talks to a running relay shares: where it is, the token, and how failures
// are told.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "relay/cli/admin_client.h"
#include "relay/cli/cli.h"

namespace sluice::relay {

struct AdminOptions {
  std::string url;         // --admin
  std::string token_file;  // --token-file
  bool json = false;       // --json
};

// Adds --admin, --token-file, --json and --config.
void addAdminOptions(CLI::App& command, CliContext& context, AdminOptions& options);

// A command's conversation with the relay. Every failure is told on context.err, once.
class AdminSession {
 public:
  // Finds the relay: --admin, else [admin] listen of the configuration.
  AdminSession(CliContext& context, const AdminOptions& options);

  // The answer's JSON; nothing after a failure.
  std::optional<nlohmann::ordered_json> get(const std::string& path);
  // The same, but an answer of 404 is no failure and not told: `missing` says so.
  std::optional<nlohmann::ordered_json> find(const std::string& path, bool& missing);
  std::optional<nlohmann::ordered_json> post(const std::string& path,
                                             const nlohmann::ordered_json& body);
  // The answer's bytes.
  std::optional<std::string> getBytes(const std::string& path);
  // The pages of a list, each at most `page` items, together at most `limit`:
  // {"items": …, "next": …}.
  std::optional<nlohmann::ordered_json> getList(const std::string& path, const std::string& query,
                                                size_t limit, size_t page);
  void tell(const std::string& what);

 private:
  std::optional<std::string> bodyOf(const Result<AdminAnswer>& answer);
  std::optional<nlohmann::ordered_json> parsed(const std::optional<std::string>& body);

  CliContext& context_;
  std::optional<AdminClient> client_;
  std::vector<ConfigMistake> mistakes_;  // of the configuration that named the relay
};

// Text of a member, "" where it is null or missing; numbers as digits.
std::string memberText(const nlohmann::ordered_json& object, const char* name);
// 0 and false where it is something else or missing: the answer may come from anyone.
uint64_t memberCount(const nlohmann::ordered_json& object, const char* name);
bool memberFlag(const nlohmann::ordered_json& object, const char* name);
// Member `name` if it is an object; null otherwise.
const nlohmann::ordered_json& memberObject(const nlohmann::ordered_json& object, const char* name);
// The text of an object's `why`.
std::string whyText(const nlohmann::ordered_json& object);
// How long ago, or until, a member's time is, as "3m12s".
std::string memberAge(const nlohmann::ordered_json& object, const char* name);
std::string memberUntil(const nlohmann::ordered_json& object, const char* name);

}  // namespace sluice::relay
