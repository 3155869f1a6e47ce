#include "relay/report/gzip.h"

#include <zlib.h>

namespace sluice::relay {

Result<std::string> gzip(std::string_view bytes) {
  constexpr int kGzipWindow = 15 + 16;  // zlib.h: 16 more asks for gzip's header
  z_stream stream{};
  if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, 8,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return fail(Errc::NoSpace, "no memory to compress");
  }
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  if (!whole) return fail(Errc::NoSpace, "cannot compress");
  return out;
}

}  // namespace sluice::relay
