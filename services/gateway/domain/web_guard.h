// Keeps web pages away from the management API: a page must not reach a local process driver.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace penstock::gateway {

// Whether the text is an origin as browsers send it: http or https, a host in lower case, and a
// port where it is not the scheme's.
bool IsOrigin(std::string_view text);

// What a request says about who makes it; empty where a header is missing.
struct WebRequest {
  std::string_view host;
  std::string_view origin;
  std::string_view sec_fetch_site;
};

// Immutable, thread-safe.
class WebGuard {
 public:
  // `hosts` are names besides localhost, 127.0.0.1 and [::1], without ports; "*" alone allows any.
  // `origins` ("https://app.example", or "*" for any) are those whose pages may call from
  // elsewhere.
  explicit WebGuard(const std::vector<std::string>& hosts,
                    const std::vector<std::string>& origins = {});

  // PERMISSION_DENIED naming the header and the configuration's key: a Host that is not known (as
  // DNS rebinding has it), a page of another site.
  absl::Status Check(const WebRequest& request) const;

  // Whether pages of `origin`, which is not empty, may call from elsewhere.
  bool AllowsOrigin(std::string_view origin) const;
  // False when no page may.
  bool has_origins() const { return !origins_.empty(); }

 private:
  bool Knows(std::string_view host) const;

  bool any_ = false;
  std::set<std::string, std::less<>> hosts_;
  std::set<std::string, std::less<>> origins_;
};

}  // namespace penstock::gateway
