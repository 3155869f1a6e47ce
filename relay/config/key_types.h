// Makes keys of a table: one function a type of value.
//
// Members may be plain or std::optional (keys that override only when set).
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <span>
#include <string>

#include "relay/config/file_checks.h"
#include "relay/config/key_table.h"
#include "relay/config/units.h"
#include "relay/config/value_readers.h"

namespace sluice::relay {

template <class M>
struct PlainType {
  using Type = M;
};
template <class M>
struct PlainType<std::optional<M>> {
  using Type = M;
};
template <class M>
using Plain = typename PlainType<M>::Type;

// Prints what is set; an optional that is not gives nothing.
template <class M, class Print>
std::string printIfSet(const M& member, Print print) {
  if constexpr (std::is_same_v<M, Plain<M>>) {
    return print(member);
  } else {
    return member ? print(*member) : std::string();
  }
}

template <class T, class M, class Read, class Print>
Key<T> makeKey(std::string_view name, std::string_view type, M T::*member, Read read, Print print) {
  return {name, type,
          [member, read](const ConfigValue& value, T& out, Reading& reading) {
            if (auto got = read(value, reading)) out.*member = static_cast<Plain<M>>(*got);
          },
          [member, print](const T& section) { return printIfSet(section.*member, print); }};
}

template <class T>
Key<T> boolean(std::string_view name, bool T::*member) {
  return makeKey(name, "boolean", member, readBoolean,
                 [](bool value) { return std::string(value ? "true" : "false"); });
}

template <class T, class M>
Key<T> integer(std::string_view name, M T::*member, Range<int64_t> range) {
  return makeKey(
      name, "integer", member,
      [range](const ConfigValue& value, Reading& reading) {
        return readInteger(value, range, reading);
      },
      [](Plain<M> value) { return std::to_string(value); });
}

std::string printNumber(double number);

template <class T>
Key<T> number(std::string_view name, double T::*member, Range<double> range) {
  return makeKey(
      name, "number", member,
      [range](const ConfigValue& value, Reading& reading) {
        return readNumber(value, range, reading);
      },
      printNumber);
}

template <class T, class M>
Key<T> duration(std::string_view name, M T::*member, Range<milliseconds> range) {
  return makeKey(
      name, "duration", member,
      [range](const ConfigValue& value, Reading& reading) {
        return readDuration(value, range, reading);
      },
      [](milliseconds value) { return quoteToml(formatDuration(value)); });
}

template <class T>
Key<T> size(std::string_view name, uint64_t T::*member, Range<uint64_t> range) {
  return makeKey(
      name, "size", member,
      [range](const ConfigValue& value, Reading& reading) {
        return readSize(value, range, reading);
      },
      [](uint64_t value) { return quoteToml(formatSize(value)); });
}

template <class T, class M>
Key<T> rate(std::string_view name, M T::*member) {
  return makeKey(name, "rate", member, readRate,
                 [](const Rate& value) { return quoteToml(formatRate(value)); });
}

template <class T>
Key<T> text(std::string_view name, std::string T::*member, Empty empty) {
  return makeKey(
      name, "string", member,
      [empty](const ConfigValue& value, Reading& reading) {
        return readText(value, empty, reading);
      },
      [](const std::string& value) { return quoteToml(value); });
}

// A text with a form of its own: `parse` checks it. "" is taken as: not set, where allowed.
template <class T>
Key<T> name(std::string_view key_name, std::string_view type, std::string T::*member, Empty empty,
            Result<std::string> (*parse)(std::string_view)) {
  return makeKey(
      key_name, type, member,
      [empty, parse](const ConfigValue& value, Reading& reading) -> std::optional<std::string> {
        auto plain = readText(value, empty, reading);
        if (!plain || plain->empty()) return plain;
        return orMistake(parse(*plain), value.place, reading);
      },
      [](const std::string& value) { return quoteToml(value); });
}

// The path of a file that must be there; "" = none.
template <class T>
Key<T> file(std::string_view name, std::string T::*member, FileKind kind) {
  return makeKey(
      name, "file", member,
      [kind](const ConfigValue& value, Reading& reading) {
        auto path = readText(value, Empty::Allowed, reading);
        if (path && !path->empty()) {
          if (auto why = whyUnusable(*path, kind)) reading.mistake(value.place, *why);
        }
        return path;
      },
      [](const std::string& value) { return quoteToml(value); });
}

template <class E>
struct Choice {
  std::string_view word;
  E value;
};

template <class E, size_t N>
std::optional<E> readChoice(const std::array<Choice<E>, N>& choices, const ConfigValue& value,
                            Reading& reading) {
  if (!isKind(ConfigValue::Kind::String, value, reading)) return std::nullopt;
  std::vector<std::string_view> words;
  std::string list;
  for (const auto& choice : choices) {
    if (choice.word == value.text) return choice.value;
    words.push_back(choice.word);
    list += (list.empty() ? "\"" : ", \"") + std::string(choice.word) + "\"";
  }
  reading.mistake(value.place,
                  "\"" + value.text + "\" is none of " + list + suggestion(value.text, words));
  return std::nullopt;
}

// `choices` must live as long as the process.
template <class T, class M, class E, size_t N>
Key<T> choice(std::string_view name, M T::*member, const std::array<Choice<E>, N>& choices) {
  return makeKey(
      name, "choice", member,
      [&choices](const ConfigValue& value, Reading& reading) {
        return readChoice(choices, value, reading);
      },
      [&choices](const E& value) {
        for (const auto& each : choices) {
          if (each.value == value) return quoteToml(each.word);
        }
        return std::string();
      });
}

// The words of a list of strings, each parsed by `parse`; two that print the same are a mistake.
template <class Item, class Print>
std::vector<Item> readList(const ConfigValue& value, Reading& reading,
                           const std::function<Result<Item>(std::string_view)>& parse,
                           Print print) {
  std::vector<Item> items;
  if (!isKind(ConfigValue::Kind::Array, value, reading)) return items;
  for (const ConfigValue& each : value.items) {
    const auto word = readText(each, Empty::Refused, reading);
    if (!word) continue;
    auto item = orMistake(parse(*word), each.place, reading);
    if (!item) continue;
    const bool twice = std::any_of(items.begin(), items.end(),
                                   [&](const Item& other) { return print(other) == print(*item); });
    if (twice) {
      reading.mistake(each.place, "\"" + *word + "\" is there twice");
    } else {
      items.push_back(std::move(*item));
    }
  }
  return items;
}

template <class Item, class Print>
std::string printList(const std::vector<Item>& items, Print print) {
  std::string out = "[";
  for (const Item& item : items) out += (out.size() > 1 ? ", " : "") + quoteToml(print(item));
  return out + "]";
}

// One file or a list of them; "" = none.
template <class T>
Key<T> files(std::string_view name, std::vector<std::string> T::*member, FileKind kind) {
  return {name, "file or list of files",
          [member, kind](const ConfigValue& value, T& out, Reading& reading) {
            std::vector<std::string>& paths = out.*member;
            paths.clear();
            const auto add = [&](const ConfigValue& one, Empty empty) {
              const auto path = readText(one, empty, reading);
              if (!path || path->empty()) return;
              if (auto why = whyUnusable(*path, kind)) reading.mistake(one.place, *why);
              paths.push_back(*path);
            };
            if (value.kind != ConfigValue::Kind::Array) return add(value, Empty::Allowed);
            for (const ConfigValue& one : value.items) add(one, Empty::Refused);
          },
          [member](const T& section) {
            const auto& paths = section.*member;
            if (paths.empty()) return quoteToml("");
            return paths.size() == 1 ? quoteToml(paths.front()) : printList(paths, std::identity());
          }};
}

// A list that, if it is set, must hold something where Empty::Refused.
template <class T, class Item>
Key<T> list(std::string_view name, std::string_view type, std::vector<Item> T::*member, Empty empty,
            Result<Item> (*parse)(std::string_view), std::string (*print)(const Item&)) {
  return {name, type,
          [member, empty, parse, print](const ConfigValue& value, T& out, Reading& reading) {
            const bool none = value.kind == ConfigValue::Kind::Array && value.items.empty();
            if (none && empty == Empty::Refused) reading.mistake(value.place, "must not be empty");
            out.*member = readList<Item>(value, reading, parse, print);
          },
          [member, print](const T& section) { return printList(section.*member, print); }};
}

template <class T>
Key<T> networks(std::string_view name, std::vector<IpNetwork> T::*member) {
  return list<T, IpNetwork>(name, "list of networks", member, Empty::Allowed, parseNetwork,
                            [](const IpNetwork& network) { return network.toString(); });
}

template <class T>
Key<T> endpoints(std::string_view name, std::vector<Endpoint> T::*member, Empty empty) {
  return list<T, Endpoint>(name, "list of addresses", member, empty, parseEndpoint,
                           [](const Endpoint& endpoint) { return endpoint.toString(); });
}

// Words out of a fixed set.
template <class T>
Key<T> words(std::string_view name, std::vector<std::string> T::*member,
             std::span<const std::string_view> allowed) {
  return {name, "list of choices",
          [member, allowed](const ConfigValue& value, T& out, Reading& reading) {
            const auto parse = [allowed](std::string_view word) -> Result<std::string> {
              for (const auto each : allowed) {
                if (each == word) return std::string(word);
              }
              return fail(Errc::Malformed,
                          "\"" + std::string(word) + "\" is not known" + suggestion(word, allowed));
            };
            out.*member = readList<std::string>(value, reading, parse, std::identity());
          },
          [member](const T& section) { return printList(section.*member, std::identity()); }};
}

}  // namespace sluice::relay
