#include "relay/config/environment.h"

#include <algorithm>
#include <array>
#include <map>
#include <span>

#include "relay/config/file_checks.h"
#include "relay/config/units.h"

namespace sluice::relay {
namespace {

// How a value is written as TOML.
enum class Form {
  Text,
  List,      // "a, b c"
  Networks,  // Postfix: brackets around IPv6 addresses; other images: ":10.0.0.0/8:192.168.0.0/16"
  Hosts,     // Postfix: brackets around a host that is not to be looked up by MX
  Domains,   // each with what is below it, as Postfix takes a domain in an access table
  SizeOrNone,  // bytes; 0: no limit
  TlsLevel     // Postfix's security levels
};

struct Variable {
  std::string_view name;
  std::string_view key;
  Form form = Form::Text;
  std::string_view file_key = {};  // the key that takes NAME_FILE's path itself
};

// Beside our own names those of the well-known Postfix images, so that one can take the other's
// place.
constexpr std::array kTop{Variable{"SLUICE_HOSTNAME", "hostname"},
                          Variable{"POSTFIX_myhostname", "hostname"},
                          Variable{"SLUICE_DATA_DIR", "data_dir"}};
constexpr std::array kReceive{
    Variable{"SLUICE_LISTEN", "listen", Form::List},
    Variable{"SLUICE_RELAY_NETWORKS", "relay_networks", Form::List},
    Variable{"POSTFIX_mynetworks", "relay_networks", Form::Networks},
    Variable{"MYNETWORKS", "relay_networks", Form::Networks},
    Variable{"RELAY_NETWORKS", "relay_networks", Form::Networks},
    Variable{"ALLOWED_SENDER_DOMAINS", "sender_domains", Form::Domains},
    Variable{"POSTFIX_message_size_limit", "max_message_size", Form::SizeOrNone}};
constexpr std::array kSmartHost{Variable{"SLUICE_SMART_HOST", "smart_hosts", Form::List},
                                Variable{"RELAYHOST", "smart_hosts", Form::Hosts},
                                Variable{"POSTFIX_relayhost", "smart_hosts", Form::Hosts}};
constexpr std::array kSend{Variable{"SLUICE_USERNAME", "username"},
                           Variable{"RELAYHOST_USERNAME", "username"},
                           Variable{"SLUICE_PASSWORD", "password", Form::Text, "password_file"},
                           Variable{"RELAYHOST_PASSWORD", "password", Form::Text, "password_file"},
                           Variable{"POSTFIX_smtp_tls_security_level", "tls", Form::TlsLevel}};
constexpr std::array kAdmin{Variable{"SLUICE_ADMIN_LISTEN", "listen"},
                            Variable{"SLUICE_ADMIN_TOKEN", "token", Form::Text, "token_file"}};

// What the image that reads ALLOWED_SENDER_DOMAINS lets relay unless told otherwise.
constexpr std::string_view kNetworksOfTheImages =
    R"(["127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"])";
constexpr std::string_view kNoSizeLimit = "2GiB";  // the largest there is

// The words of "a, b c", or of ":a:b" where colons may stand between.
std::vector<std::string_view> wordsOf(std::string_view value, std::string_view between) {
  std::vector<std::string_view> words;
  while (!value.empty()) {
    const size_t end = std::min(value.find_first_of(between), value.size());
    if (end > 0) words.push_back(value.substr(0, end));
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  return words;
}

// "[::1]/128" -> "::1/128"
std::string networkOf(std::string_view word) {
  std::string network(word);
  std::erase_if(network, [](char c) { return c == '[' || c == ']'; });
  return network;
}

// "[smtp.example.net]:587" -> "smtp.example.net:587"; an IPv6 address keeps its brackets.
std::string hostOf(std::string_view word) {
  const size_t close = word.find(']');
  if (!word.starts_with('[') || close == std::string_view::npos) return std::string(word);
  const std::string_view inside = word.substr(1, close - 1);
  if (inside.find(':') != std::string_view::npos) return std::string(word);
  return std::string(inside).append(word.substr(close + 1));
}

std::string levelOf(std::string_view postfix) {
  if (postfix == "none") return "off";
  if (postfix == "may") return "opportunistic";
  if (postfix == "encrypt") return "required";
  if (postfix == "secure") return "verify";
  if (postfix == "dane-only") return "dane";
  return std::string(postfix);  // verify, dane; the rest is named as a mistake
}

std::string tomlList(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + quoteToml(item);
  return "[" + out + "]";
}

std::string tomlOf(Form form, const std::string& value) {
  std::vector<std::string> items;
  switch (form) {
    case Form::Text:
      return quoteToml(value);
    case Form::TlsLevel:
      return quoteToml(levelOf(value));
    case Form::SizeOrNone:
      return quoteToml(value == "0" ? kNoSizeLimit : value);
    case Form::List:
      for (const auto word : wordsOf(value, ", ")) items.emplace_back(word);
      return tomlList(items);
    case Form::Networks:
      for (const auto word : wordsOf(value, value.front() == ':' ? ":, " : ", ")) {
        items.push_back(networkOf(word));
      }
      return tomlList(items);
    case Form::Hosts:
      for (const auto word : wordsOf(value, ", ")) items.push_back(hostOf(word));
      return tomlList(items);
    case Form::Domains:
      for (const auto word : wordsOf(value, ", ")) {
        items.emplace_back(word);
        if (!word.starts_with('.')) items.push_back("." + items.back());
      }
      return tomlList(items);
  }
  return {};
}

// Writes the variables as a TOML text, a key a line, and remembers which line came from where: so
// they are read by the same rules as a file.
class Writer {
 public:
  explicit Writer(const Surroundings& surroundings) : surroundings_(surroundings) {}

  void add(std::string_view line, std::string_view variable) {
    text_.append(line).push_back('\n');
    variables_.emplace_back(variable);
  }

  void section(std::string_view title, std::string_view variable) {
    add(title, variable);
    set_.clear();
  }

  void addAll(std::span<const Variable> variables) {
    for (const Variable& each : variables) addVariable(each);
  }

  bool isSet(std::string_view key) const { return set_.contains(key); }

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

  void addVariable(const Variable& variable) {
    const std::string name(variable.name);
    std::string value = valueOf(name);
    const std::string path = valueOf(name + "_FILE");
    if (value.empty() && path.empty()) return;
    if (!value.empty() && !path.empty()) {
      return mistake(name, "conflicts with " + name + "_FILE: set one of them");
    }
    std::string source = path.empty() ? name : name + "_FILE";
    if (const auto [other, first] = set_.emplace(variable.key, source); !first) {
      return mistake(source, "conflicts with " + other->second + ": set one of them");
    }
    std::string_view key = variable.key;
    if (!path.empty()) {
      if (!variable.file_key.empty()) {
        key = variable.file_key;
        value = path;
      } else if (auto content = readSecret(path)) {
        value = std::move(*content);
      } else {
        return mistake(source, content.error().detail);
      }
    }
    if (std::any_of(value.begin(), value.end(), [](unsigned char c) { return c < 0x20; })) {
      return mistake(source, "holds a control character");
    }
    add(std::string(key) + " = " + tomlOf(variable.form, value), source);
  }

  const Surroundings& surroundings_;
  std::string text_;
  std::vector<std::string> variables_;                   // that wrote each line
  std::map<std::string, std::string, std::less<>> set_;  // keys of this section, and by what
  std::vector<ConfigMistake> mistakes_;
};

// The variable that names smart hosts, if one does.
std::string_view smartHostVariable(const Surroundings& surroundings) {
  for (const Variable& each : kSmartHost) {
    const std::string name(each.name);
    if (!surroundings.variable(name).value_or("").empty() ||
        !surroundings.variable(name + "_FILE").value_or("").empty()) {
      return each.name;
    }
  }
  return {};
}

}  // namespace

LoadedConfig configFromEnvironment(const Surroundings& surroundings) {
  Writer writer(surroundings);
  writer.addAll(kTop);
  writer.section("[[receive]]", "SLUICE_LISTEN");
  writer.addAll(kReceive);
  if (writer.isSet("sender_domains") && !writer.isSet("relay_networks")) {
    writer.add("relay_networks = " + std::string(kNetworksOfTheImages), "ALLOWED_SENDER_DOMAINS");
  }
  const std::string_view smart_host = smartHostVariable(surroundings);
  if (smart_host.empty()) {
    writer.section("[[send]]", "SLUICE_SMART_HOST");
    writer.add("name = \"internet\"", "SLUICE_SMART_HOST");
  } else {
    writer.section("[[send]]", smart_host);
    writer.add("name = \"smart-host\"", smart_host);
    writer.add("route = \"smart-host\"", smart_host);
    writer.addAll(kSmartHost);
  }
  writer.addAll(kSend);
  writer.section("[admin]", "SLUICE_ADMIN_LISTEN");
  writer.addAll(kAdmin);
  return writer.read();
}

}  // namespace sluice::relay
