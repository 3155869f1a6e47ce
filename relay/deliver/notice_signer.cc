#include "relay/deliver/notice_signer.h"

#include "relay/sign/dkim_signer.h"

namespace sluice::relay {
namespace {

std::vector<DkimDraft> draftsOf(const queue::NewMessage& notice,
                                const std::shared_ptr<const DkimKeys>& keys) {
  DkimSigner signer(keys);
  for (const Slice& slice : notice.content.slices()) signer.append(slice.bytes);
  return signer.finish(notice.envelope.received_at);
}

}  // namespace

NoticeSigner::NoticeSigner(DeliveryContext& context)
    : context_(context), self_(std::make_shared<NoticeSigner*>(this)) {}

NoticeSigner::~NoticeSigner() {
  *self_ = nullptr;
  for (auto& [number, job] : jobs_) {
    auto fields = signAll(job.drafts);
    finish(std::move(job), std::move(fields));
  }
}

void NoticeSigner::sign(Notices notices, Then then) {
  if (!context_.dkim || context_.dkim->empty()) return then(std::move(notices));
  Job job{std::move(notices), {}, {}, std::move(then)};
  for (size_t i = 0; i < job.notices.size(); ++i) {
    for (DkimDraft& draft : draftsOf(job.notices[i], context_.dkim)) {
      job.owners.push_back(i);
      job.drafts.push_back(std::move(draft));
    }
  }
  if (job.drafts.empty()) return job.then(std::move(job.notices));
  const uint64_t number = ++last_job_;
  const std::vector<DkimDraft> drafts = job.drafts;
  jobs_.emplace(number, std::move(job));
  context_.signing->sign(drafts, context_.loop, [self = self_, number](Signatures fields) {
    if (!*self) return;
    auto signed_job = (*self)->jobs_.extract(number);
    finish(std::move(signed_job.mapped()), std::move(fields));
  });
}

void NoticeSigner::finish(Job job, Signatures fields) {
  for (size_t i = 0; fields && i < job.owners.size(); ++i) {
    job.notices[job.owners[i]].envelope.front_fields.append((*fields)[i]);
  }
  job.then(std::move(job.notices));
}

}  // namespace sluice::relay
