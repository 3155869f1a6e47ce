// What a failed or delayed delivery means to a person: one or two plain sentences, and who can
// help.
//
// A table from enhanced status codes (RFC 3463, RFC 5248), reply codes and the wording of
// well-known servers. The first row that fits wins. Pure; the texts are ASCII and live for ever.
#pragma once

#include <string_view>

namespace sluice::relay {

// Who can do something about it.
enum class Helper { Sender, Administrator };

struct Explanation {
  std::string_view what;    // what happened: one sentence
  std::string_view advice;  // what to do: one or two sentences; empty if nothing but waiting helps
  Helper helper = Helper::Sender;
};

// `status` is "5.1.1" or empty; `diagnostic` is the far end's reply ("550 5.1.1 no such user") or
// our own words, any bytes. Says something general if nothing in the table fits.
const Explanation& explain(std::string_view status, std::string_view diagnostic);

}  // namespace sluice::relay
