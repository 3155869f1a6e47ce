// ${NAME} and ${NAME:-default} in the strings of a configuration.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::relay {

using VariableLookup = std::function<std::optional<std::string>(const std::string& name)>;

// ${NAME} is the variable's value, ${NAME:-default} the same or the default where the variable is
// unset or empty, $${ stands for the two characters ${. Any other dollar is itself; values are not
// expanded again. Errors: NotFound (unset, without a default), Malformed (no closing brace, a name
// that is none, a value with a control character).
Result<std::string> expandVariables(std::string_view text, const VariableLookup& variable);

// The opposite: a text that expands to `text`.
std::string escapeVariables(std::string_view text);

}  // namespace sluice::relay
