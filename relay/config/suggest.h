// "Did you mean": the nearest of some words to one that is not among them.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sluice::relay {

// Insertions, deletions, replacements and swaps of neighbours that make `a` out of `b`.
size_t editDistance(std::string_view a, std::string_view b);

// The nearest word, if it is near enough to be a slip of the fingers.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> words);

// " (did you mean \"hostname\"?)", or nothing.
std::string suggestion(std::string_view word, std::span<const std::string_view> words);

}  // namespace sluice::relay
