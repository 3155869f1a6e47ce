#include "relay/config/expand.h"

#include <algorithm>

namespace sluice::relay {
namespace {

bool isNameStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

bool isName(std::string_view name) {
  return !name.empty() && isNameStart(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return isNameStart(c) || (c >= '0' && c <= '9'); });
}

bool hasControl(std::string_view value) {
  return std::any_of(value.begin(), value.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// What stands for NAME or NAME:-default.
Result<std::string> valueOf(std::string_view inside, const VariableLookup& variable) {
  const size_t separator = inside.find(":-");
  const std::string name(inside.substr(0, separator));
  if (!isName(name)) {
    return fail(Errc::Malformed, "${" + std::string(inside) + "} names no environment variable");
  }
  const auto value = variable(name);
  const bool has_default = separator != std::string_view::npos;
  if (has_default && (!value || value->empty())) return std::string(inside.substr(separator + 2));
  if (!value) {
    return fail(Errc::NotFound, "the environment variable " + name + " is not set (${" + name +
                                    ":-...} gives a default)");
  }
  if (hasControl(*value)) {
    return fail(Errc::Malformed, "the environment variable " + name + " holds a control character");
  }
  return *value;
}

}  // namespace

Result<std::string> expandVariables(std::string_view text, const VariableLookup& variable) {
  std::string out;
  while (true) {
    const size_t dollar = text.find("${");
    out.append(text.substr(0, dollar));
    if (dollar == std::string_view::npos) return out;
    if (dollar > 0 && text[dollar - 1] == '$') {  // $${: the first dollar is copied already
      out.push_back('{');
      text.remove_prefix(dollar + 2);
      continue;
    }
    const size_t close = text.find('}', dollar);
    if (close == std::string_view::npos) {
      return fail(Errc::Malformed, "${ without a closing brace (write $${ for the characters)");
    }
    ASSIGN_OR_RETURN(const std::string value,
                     valueOf(text.substr(dollar + 2, close - dollar - 2), variable));
    out.append(value);
    text.remove_prefix(close + 1);
  }
}

std::string escapeVariables(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("${")) out.push_back('$');
    out.push_back(text[i]);
  }
  return out;
}

}  // namespace sluice::relay
