// Which domains does an address space take in, and which of two spaces is the more specific?
//
// A space is "example.com" (that domain only), ".example.com" (its subdomains only) or "*". Domains
// and spaces are lower-case A-labels. An address literal "[192.0.2.1]" lies in "*" and in a space
// that spells it out, and is nobody's subdomain. Pure.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::relay {

bool addressSpaceContains(std::string_view space, std::string_view domain);

// An order: exact domains before subdomains, long suffixes before short ones, "*" last.
// Only for spaces that contain the same domain do the numbers say more than that.
size_t addressSpaceSpecificity(std::string_view space);

// Something kept for each of many address spaces, found by domain in one probe a label.
template <class Value>
class AddressSpaceMap {
 public:
  // The value of `space`, made if there is none.
  Value& operator[](std::string_view space) {
    if (space.size() > longest_) longest_ = space.size();
    return values_.try_emplace(std::string(space)).first->second;
  }

  // Calls visit(value) for the spaces that contain `domain`, most specific first, until it says
  // false.
  template <class Visit>
  void visitMatches(std::string_view domain, Visit visit) const {
    if (domain.empty() || !visitOne(domain, visit)) return;
    const bool literal = domain.front() == '[';
    size_t dot = literal ? std::string_view::npos : domain.find('.');
    for (; dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
      if (dot > 0 && !visitOne(domain.substr(dot), visit)) return;
    }
    visitOne("*", visit);
  }

  const Value* find(std::string_view domain) const {
    const Value* found = nullptr;
    visitMatches(domain, [&found](const Value& value) {
      found = &value;
      return false;
    });
    return found;
  }

  auto begin() { return values_.begin(); }
  auto end() { return values_.end(); }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };

  template <class Visit>
  bool visitOne(std::string_view space, Visit& visit) const {
    if (space.size() > longest_) return true;
    const auto found = values_.find(space);
    return found == values_.end() || visit(found->second);
  }

  std::unordered_map<std::string, Value, Hash, std::equal_to<>> values_;
  size_t longest_ = 0;  // no longer suffix needs a probe
};

}  // namespace sluice::relay
