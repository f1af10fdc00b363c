// The settings of the reverse proxy.
#pragma once

#include "libs/config/binder.h"
#include "services/gateway/api/proxy_options.h"

namespace penstock::gateway {

// Binds proxy.* and master_api.*.
void BindProxy(config::Binder& binder, ProxyOptions& options);

}  // namespace penstock::gateway
