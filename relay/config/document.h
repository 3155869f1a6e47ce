// A TOML text as a tree of values, each with its place in the file. The one home of toml++.
//
// Strings come with their ${NAME} already expanded. What toml++ would pass over in silence, or not
// survive, is caught here first: byte order marks, endless dotted keys, files beyond any use.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "relay/config/mistakes.h"
#include "relay/config/surroundings.h"

namespace sluice::relay {

struct ConfigMember;

struct ConfigValue {
  // Broken: a mistake was already reported for it; readers pass over it.
  enum class Kind { Boolean, Integer, Float, String, Time, Array, Table, Broken };
  Kind kind = Kind::Broken;
  Place place;
  bool boolean = false;
  int64_t integer = 0;
  double number = 0;                  // Float
  std::string text;                   // String
  std::vector<ConfigValue> items;     // Array
  std::vector<ConfigMember> members;  // Table, in the order of the file

  const ConfigMember* find(std::string_view key) const;
};

struct ConfigMember {
  std::string key;
  Place place;  // of the key
  ConfigValue value;
};

// "a whole number", "a string" ...
std::string_view describe(ConfigValue::Kind kind);

// The whole text as one table. Nothing if it is no TOML; mistakes say why.
std::optional<ConfigValue> parseDocument(std::string_view text, const Surroundings& surroundings,
                                         Mistakes& mistakes);

// The version of toml++.
std::string tomlLibraryVersion();

}  // namespace sluice::relay
