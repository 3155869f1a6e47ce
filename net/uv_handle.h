// Owning pointers to libuv handles, and the one rule for closing them.
#pragma once

#include <uv.h>

#include <memory>

namespace sluice::net {

// Closes a libuv handle from any destructor. libuv uses the handle until the close callback, so its
// memory is freed there and not before. Only for handles whose uv_*_init() succeeded.
template <class Handle>
struct CloseOnLoop {
  void operator()(Handle* handle) const {
    handle->data = nullptr;  // callbacks still to come find nobody
    uv_close(reinterpret_cast<uv_handle_t*>(handle),
             [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
  }
};

template <class Handle>
using UvHandle = std::unique_ptr<Handle, CloseOnLoop<Handle>>;

}  // namespace sluice::net
