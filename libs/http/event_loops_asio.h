// The Asio side of the event loops. Only for .cc files that use Asio.
#pragma once

#include <boost/asio/io_context.hpp>

#include "libs/http/event_loops.h"

namespace penstock::http {

// The io_context of loop `index`, run by exactly one thread until EventLoops::Stop.
boost::asio::io_context& IoContextOf(EventLoops& loops, int index);

}  // namespace penstock::http
