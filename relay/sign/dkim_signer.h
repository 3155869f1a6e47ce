// One message on its way to being signed: its content streams by, at its end the drafts are made.
//
// Bodies are hashed only for an author's domain that has keys. One a message, no I/O, on one
// thread. What is given here is what will be sent behind the signatures, byte by byte.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "relay/sign/body_hash.h"
#include "relay/sign/dkim_keys.h"
#include "relay/sign/dkim_signature.h"
#include "relay/sign/header_fields.h"

namespace sluice::relay {

class DkimSigner {
 public:
  explicit DkimSigner(std::shared_ptr<const DkimKeys> keys) : keys_(std::move(keys)) {}

  void append(std::string_view content);
  // The content is whole: one draft for each key. None: it is not ours to sign, or has no From, or
  // several, or more fields than a signature covers.
  std::vector<DkimDraft> finish(WallTime now);

 private:
  void onHeaderEnd();

  std::shared_ptr<const DkimKeys> keys_;
  HeaderFields header_;
  bool in_header_ = true;
  std::span<const DkimKey> chosen_;  // in keys_
  std::optional<BodyHash> body_;     // if any are chosen
};

}  // namespace sluice::relay
