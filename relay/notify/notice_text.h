// The person's part of a notice: what happened, to whom, what to do, and what the far end said.
//
// Pure. Plain text in lines of up to 76 columns, ended by CRLF.
#pragma once

#include <string>

#include "relay/notify/dsn_message.h"

namespace sluice::relay {

// At most about `max_bytes`; recipients for whom there is no room are counted.
std::string makeNoticeText(const NoticeFacts& facts, size_t max_bytes);

// "4 days", "90 minutes": for a person.
std::string spanInWords(std::chrono::milliseconds span);

}  // namespace sluice::relay
