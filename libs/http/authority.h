// The authority of an http URI as requests carry it: in Host, and in an absolute target.
#pragma once

#include <string_view>

namespace penstock::http {

// Whether `text` is a host and perhaps a port, as RFC 9110 (4.2, 7.2) asks of servers: the host not
// empty, no user, the port from 0 to 65535. A name may hold letters, digits, '-', '.', '_', '~' and
// percent-encoded bytes; the other bytes that RFC 3986 lets into a registered name stand in no name
// that resolves, and are refused. An address of version 6 stands in brackets, without zone.
bool IsAuthority(std::string_view text);

}  // namespace penstock::http
