#include "relay/config/document.h"

#include <toml++/toml.h>

#include <algorithm>

#include "relay/config/expand.h"

namespace sluice::relay {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;  // a configuration of thousands of connectors fits
// toml++ walks nested tables by recursion, and `a.a.a.a` nests one a dot.
constexpr int kMaxDotsBeforeValue = 1000;
// No key of ours nests deeper (an array of tables, an array in it, an inline table in that).
constexpr int kMaxDepth = 6;

Place placeOf(const toml::source_region& region) {
  return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

// Turns toml++'s tree into ours.
class Converter {
 public:
  Converter(const Surroundings& surroundings, Mistakes& mistakes)
      : surroundings_(surroundings), mistakes_(mistakes) {}

  ConfigValue convert(const toml::node& node, int depth) {
    ConfigValue value;
    value.place = placeOf(node.source());
    switch (node.type()) {
      case toml::node_type::table:
        convertTable(*node.as_table(), value, depth);
        break;
      case toml::node_type::array:
        convertArray(*node.as_array(), value, depth);
        break;
      case toml::node_type::string:
        convertString(node.as_string()->get(), value);
        break;
      case toml::node_type::integer:
        value.kind = ConfigValue::Kind::Integer;
        value.integer = node.as_integer()->get();
        break;
      case toml::node_type::floating_point:
        value.kind = ConfigValue::Kind::Float;
        value.number = node.as_floating_point()->get();
        break;
      case toml::node_type::boolean:
        value.kind = ConfigValue::Kind::Boolean;
        value.boolean = node.as_boolean()->get();
        break;
      case toml::node_type::date:
      case toml::node_type::time:
      case toml::node_type::date_time:
        value.kind = ConfigValue::Kind::Time;
        break;
      case toml::node_type::none:
        break;
    }
    return value;
  }

 private:
  void convertTable(const toml::table& table, ConfigValue& value, int depth) {
    value.kind = ConfigValue::Kind::Table;
    if (depth >= kMaxDepth) return;  // below an unknown key, which is reported
    for (auto&& [key, node] : table) {
      value.members.push_back(
          {std::string(key.str()), placeOf(key.source()), convert(node, depth + 1)});
    }
    std::sort(value.members.begin(), value.members.end(),
              [](const auto& a, const auto& b) { return a.place < b.place; });
  }

  void convertArray(const toml::array& array, ConfigValue& value, int depth) {
    value.kind = ConfigValue::Kind::Array;
    if (depth >= kMaxDepth) return;
    for (auto&& node : array) value.items.push_back(convert(node, depth + 1));
  }

  void convertString(const std::string& text, ConfigValue& value) {
    auto expanded = expandVariables(text, surroundings_.variable);
    if (!expanded) return mistakes_.add(value.place, expanded.error().detail);
    value.kind = ConfigValue::Kind::String;
    value.text = std::move(*expanded);
  }

  const Surroundings& surroundings_;
  Mistakes& mistakes_;
};

// What stops a text before it is parsed: position and reason.
std::optional<std::pair<Place, std::string>> unfit(std::string_view text) {
  if (text.size() > kMaxFileBytes) {
    return {{Place{1, 1}, "the file is over 1 MiB: this is no configuration"}};
  }
  if (text.starts_with("\xef\xbb\xbf") || text.starts_with("\xff\xfe") ||
      text.starts_with("\xfe\xff")) {
    return {{Place{1, 1}, "the file begins with a byte order mark: save it as UTF-8 without BOM"}};
  }
  Place at{1, 0};
  int dots = 0;
  for (const char c : text) {
    ++at.column;
    if (c == '\0') return {{at, "the file holds a NUL byte"}};
    if (c == '\n') at = {at.line + 1, 0};
    if (c == '\n' || c == '=') dots = 0;
    if (c == '.' && ++dots > kMaxDotsBeforeValue) return {{at, "too many dots in one key"}};
  }
  return std::nullopt;
}

// toml++ points behind a key that is there twice; people look for its begin.
Place placeOfParseError(const toml::parse_error& error, std::string_view text) {
  Place place = placeOf(error.source());
  if (error.description().find("cannot redefine") == std::string_view::npos) return place;
  size_t begin = 0;
  for (int line = 1; line < place.line; ++line) begin = text.find('\n', begin) + 1;
  const size_t first = text.find_first_not_of(" \t", begin);
  if (first != std::string_view::npos) place.column = static_cast<int>(first - begin) + 1;
  return place;
}

}  // namespace

const ConfigMember* ConfigValue::find(std::string_view key) const {
  const auto found = std::find_if(members.begin(), members.end(),
                                  [&](const ConfigMember& member) { return member.key == key; });
  return found == members.end() ? nullptr : &*found;
}

std::string_view describe(ConfigValue::Kind kind) {
  switch (kind) {
    case ConfigValue::Kind::Boolean:
      return "true or false";
    case ConfigValue::Kind::Integer:
      return "a whole number";
    case ConfigValue::Kind::Float:
      return "a number with a fraction";
    case ConfigValue::Kind::String:
      return "a string";
    case ConfigValue::Kind::Time:
      return "a date or time";
    case ConfigValue::Kind::Array:
      return "a list";
    case ConfigValue::Kind::Table:
      return "a table";
    case ConfigValue::Kind::Broken:
      break;
  }
  return "nothing";
}

std::optional<ConfigValue> parseDocument(std::string_view text, const Surroundings& surroundings,
                                         Mistakes& mistakes) {
  if (auto reason = unfit(text)) {
    mistakes.add(reason->first, reason->second);
    return std::nullopt;
  }
  try {
    const toml::table root = toml::parse(text, std::string_view());
    return Converter(surroundings, mistakes).convert(root, 0);
  } catch (const toml::parse_error& error) {
    mistakes.add(placeOfParseError(error, text), std::string(error.description()));
    return std::nullopt;
  }
}

std::string tomlLibraryVersion() {
  return std::to_string(TOML_LIB_MAJOR) + "." + std::to_string(TOML_LIB_MINOR) + "." +
         std::to_string(TOML_LIB_PATCH);
}

}  // namespace sluice::relay
