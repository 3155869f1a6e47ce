#include "relay/sign/dkim_signer.h"

#include "relay/sign/author_domain.h"

namespace sluice::relay {

void DkimSigner::append(std::string_view content) {
  if (in_header_ && header_.feed(content)) onHeaderEnd();
  if (body_) body_->append(content);
}

void DkimSigner::onHeaderEnd() {
  in_header_ = false;
  header_.finish();
  if (header_.overflowed()) return;
  const auto domain = authorDomain(header_.from());
  if (!domain) return;
  chosen_ = keys_->forAuthor(*domain);
  if (!chosen_.empty()) body_.emplace();
}

std::vector<DkimDraft> DkimSigner::finish(WallTime now) {
  if (in_header_) onHeaderEnd();
  std::vector<DkimDraft> drafts;
  if (!body_) return drafts;
  const net::Sha256Digest body_hash = body_->finish();
  const CoveredHeader header = coverHeader(header_);
  for (const DkimKey& key : chosen_) {
    drafts.push_back(draftSignature(key, header, body_hash, now));
  }
  return drafts;
}

}  // namespace sluice::relay
