// xtext, in which ENVID, ORCPT and AUTH= carry printable text: "+2B" for '+', "+3D" for '='.
//
// RFC 3461 section 4. What it decodes to must be printable US-ASCII there; anything else, line ends
// above all, is no xtext for us.
#pragma once

#include <string>
#include <string_view>

#include "net/base/result.h"

namespace sluice::smtp {

// Well-formed, not empty, and made of printable US-ASCII (and spaces) once decoded.
bool isXtext(std::string_view encoded);

// Errors: Malformed, where isXtext says no.
Result<std::string> decodeXtext(std::string_view encoded);

// The same with bytes beyond US-ASCII left in what it gives: the caller says what they may be.
Result<std::string> decodeEightBitXtext(std::string_view encoded);

// Any bytes in; '+', '=' and all but printable US-ASCII are encoded.
std::string encodeXtext(std::string_view text);

}  // namespace sluice::smtp
