// How far do a comment and a quoted string reach in the value of an address field (RFC 5322 section
// 3.2.2, 3.2.4)?
//
// Pure; the text is hostile: quoted pairs are passed over, comments nest. Nothing where the end is
// missing, so that each reader says himself what becomes of the rest.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice::smtp {

// Bytes of the comment that begins `text`, which starts with '(', up to its ')' and with it.
std::optional<size_t> commentBytes(std::string_view text);

// Likewise of the quoted string, which starts with '"'.
std::optional<size_t> quotedBytes(std::string_view text);

}  // namespace sluice::smtp
