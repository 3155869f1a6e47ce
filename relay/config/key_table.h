// One table of keys a section: from it a section is read, printed, compared and documented.
//
// A Key<T> knows the name of a key, what its values look like, whether a reload applies it, and how
// to read it into a T and print it from one. key_types.h makes keys, *_keys.cc puts them together.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relay/config/document.h"
#include "relay/config/suggest.h"

namespace sluice::relay {

// When a changed value takes effect.
enum class Apply { Reload, Restart };

// Where a section and its keys stand in the file, for mistakes that show only later.
class SectionPlaces {
 public:
  SectionPlaces() = default;
  explicit SectionPlaces(Place section) : section_(section) {}
  void set(const std::string& key, Place place) { keys_[key] = place; }
  bool has(const std::string& key) const { return keys_.contains(key); }
  // A key that has a mistake of its own: what it lacks because of that is no news.
  void markBroken(const std::string& key) { broken_.insert(key); }
  bool isBroken(const std::string& key) const { return broken_.contains(key); }
  // Of the key if it is set, else of the section.
  Place of(const std::string& key) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? section_ : found->second;
  }

 private:
  Place section_{1, 1};
  std::map<std::string, Place> keys_;
  std::set<std::string> broken_;
};

// What a key's reader may ask, and where it reports mistakes.
struct Reading {
  const Surroundings& surroundings;
  Mistakes& mistakes;
  std::string section;  // as written: "[queue]", "[[receive]]", empty at the top
  std::string key;      // that is being read

  void mistake(Place place, const std::string& message) {
    mistakes.add(place, (section.empty() ? "" : section + " ") + key + ": " + message);
  }
};

template <class T>
struct Key {
  std::string_view name;
  std::string_view type;  // as docs/configuration.md calls it
  std::function<void(const ConfigValue&, T&, Reading&)> read;
  std::function<std::string(const T&)> print;  // a TOML value; empty: leave the key out
  Apply apply = Apply::Reload;
  // What docs/configuration.md says of the default, where that is no fixed value.
  std::string_view default_words = {};
};

template <class T>
using Keys = std::vector<Key<T>>;

// The same key of a struct that holds the other as a member.
template <class Whole, class Part>
Keys<Whole> lift(const Keys<Part>& keys, Part Whole::*part) {
  Keys<Whole> out;
  for (const Key<Part>& key : keys) {
    out.push_back({key.name, key.type,
                   [read = key.read, part](const ConfigValue& value, Whole& whole,
                                           Reading& reading) { read(value, whole.*part, reading); },
                   [print = key.print, part](const Whole& whole) { return print(whole.*part); },
                   key.apply, key.default_words});
  }
  return out;
}

template <class T>
Keys<T> operator+(Keys<T> keys, const Keys<T>& more) {
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

template <class T>
Keys<T> atRestart(Keys<T> keys) {
  for (Key<T>& key : keys) key.apply = Apply::Restart;
  return keys;
}

// The section that has a key of this name, as " (it belongs in [queue])"; else nothing.
std::string homeOfKey(std::string_view key);

template <class T>
std::vector<std::string_view> namesOf(const Keys<T>& keys) {
  std::vector<std::string_view> names;
  for (const Key<T>& key : keys) names.push_back(key.name);
  return names;
}

// Reads what a table sets; keys that are none of `keys` nor of `others` are mistakes.
template <class T>
SectionPlaces readKeys(const Keys<T>& keys, const std::vector<std::string_view>& others,
                       const ConfigValue& table, T& out, Reading& reading) {
  SectionPlaces places(table.place);
  auto known = namesOf(keys);
  known.insert(known.end(), others.begin(), others.end());
  for (const ConfigMember& member : table.members) {
    reading.key = member.key;
    places.set(member.key, member.place);
    const size_t mistakes_before = reading.mistakes.size();
    const auto key = std::find_if(keys.begin(), keys.end(),
                                  [&](const Key<T>& each) { return each.name == member.key; });
    if (key != keys.end()) {
      key->read(member.value, out, reading);
    } else if (std::find(others.begin(), others.end(), member.key) == others.end()) {
      const std::string hint = suggestion(member.key, known);
      reading.mistake(member.place, "unknown key" + (hint.empty() ? homeOfKey(member.key) : hint));
    }
    const bool broken = member.value.kind == ConfigValue::Kind::Broken;
    if (broken || reading.mistakes.size() > mistakes_before) places.markBroken(member.key);
  }
  return places;
}

// "key = value" lines.
template <class T>
void printKeys(const Keys<T>& keys, const T& section, std::string& out) {
  for (const Key<T>& key : keys) {
    const std::string value = key.print(section);
    if (!value.empty()) out.append(key.name).append(" = ").append(value).append("\n");
  }
}

}  // namespace sluice::relay
