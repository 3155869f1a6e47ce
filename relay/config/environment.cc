#include "relay/config/environment.h"

#include <algorithm>
#include <array>
#include <span>

#include "relay/config/file_checks.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

enum class Form { Text, List };

struct Variable {
  std::string_view name;
  std::string_view key;
  Form form = Form::Text;
  std::string_view file_key = {};  // the key that takes NAME_FILE's path itself
};

constexpr std::array<Variable, 2> kTop{
    {{"SLUICE_HOSTNAME", "hostname"}, {"SLUICE_DATA_DIR", "data_dir"}}};
constexpr std::array<Variable, 2> kReceive{
    {{"SLUICE_LISTEN", "listen", Form::List},
     {"SLUICE_RELAY_NETWORKS", "relay_networks", Form::List}}};
constexpr std::array<Variable, 1> kSmartHost{{{"SLUICE_SMART_HOST", "smart_hosts", Form::List}}};
constexpr std::array<Variable, 2> kCredentials{
    {{"SLUICE_USERNAME", "username"},
     {"SLUICE_PASSWORD", "password", Form::Text, "password_file"}}};
constexpr std::array<Variable, 2> kAdmin{
    {{"SLUICE_ADMIN_LISTEN", "listen"}, {"SLUICE_ADMIN_TOKEN", "token", Form::Text, "token_file"}}};

// Writes the variables as a TOML text, a key a line, and remembers which line came from where: so
// they are read by the same rules as a file.
class Writer {
 public:
  explicit Writer(const Surroundings& surroundings) : surroundings_(surroundings) {}

  void add(std::string_view line, std::string_view variable) {
    text_.append(line).push_back('\n');
    variables_.emplace_back(variable);
  }

  // True if one of them was set.
  bool addAll(std::span<const Variable> variables) {
    bool any = false;
    for (const Variable& each : variables) any = addVariable(each) || any;
    return any;
  }

  LoadedConfig read() {
    LoadedConfig loaded = parseConfig(text_, "environment", surroundings_);
    loaded.from_file = false;
    loaded.file.clear();
    for (ConfigMistake& mistake : loaded.mistakes) {
      const auto line = static_cast<size_t>(mistake.line);
      if (line >= 1 && line <= variables_.size()) mistake.file = variables_[line - 1];
      mistake.line = mistake.column = 0;
    }
    loaded.mistakes.insert(loaded.mistakes.begin(), mistakes_.begin(), mistakes_.end());
    return loaded;
  }

 private:
  std::string valueOf(const std::string& name) const {
    return surroundings_.variable(name).value_or("");
  }

  void mistake(const std::string& variable, std::string message) {
    mistakes_.push_back({variable, 0, 0, std::move(message)});
  }

  bool addVariable(const Variable& variable) {
    const std::string name(variable.name);
    std::string value = valueOf(name);
    const std::string path = valueOf(name + "_FILE");
    if (value.empty() && path.empty()) return false;
    if (!value.empty() && !path.empty()) {
      mistake(name, "conflicts with " + name + "_FILE: set one of them");
      return true;
    }
    std::string source = name;
    std::string_view key = variable.key;
    if (!path.empty()) {
      source += "_FILE";
      if (!variable.file_key.empty()) {
        key = variable.file_key;
        value = path;
      } else if (auto content = readSecret(path)) {
        value = std::move(*content);
      } else {
        mistake(source, content.error().detail);
        return true;
      }
    }
    if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20; })) {
      mistake(source, "holds a control character");
      return true;
    }
    add(std::string(key) + " = " + (variable.form == Form::List ? list(value) : quoteToml(value)),
        source);
    return true;
  }

  // "a, b c" -> ["a", "b", "c"]
  static std::string list(std::string_view value) {
    std::string out;
    while (!value.empty()) {
      const size_t end = std::min(value.find_first_of(", "), value.size());
      if (end > 0) out += (out.empty() ? "" : ", ") + quoteToml(value.substr(0, end));
      value.remove_prefix(std::min(end + 1, value.size()));
    }
    return "[" + out + "]";
  }

  const Surroundings& surroundings_;
  std::string text_;
  std::vector<std::string> variables_;  // that wrote each line
  std::vector<ConfigMistake> mistakes_;
};

}  // namespace

LoadedConfig configFromEnvironment(const Surroundings& surroundings) {
  const auto set = [&](const char* name) {
    return !surroundings.variable(name).value_or("").empty();
  };
  Writer writer(surroundings);
  writer.addAll(kTop);
  writer.add("[[receive]]", "SLUICE_LISTEN");
  writer.addAll(kReceive);
  const bool smart_host = set("SLUICE_SMART_HOST") || set("SLUICE_SMART_HOST_FILE");
  writer.add("[[send]]", "SLUICE_SMART_HOST");
  if (smart_host) {
    writer.add("name = \"smart-host\"", "SLUICE_SMART_HOST");
    writer.add("route = \"smart-host\"", "SLUICE_SMART_HOST");
    writer.addAll(kSmartHost);
  } else {
    writer.add("name = \"internet\"", "SLUICE_SMART_HOST");
  }
  writer.addAll(kCredentials);
  writer.add("[admin]", "SLUICE_ADMIN_LISTEN");
  writer.addAll(kAdmin);
  return writer.read();
}

}  // namespace sluice::relay
