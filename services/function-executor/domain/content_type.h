// What a Content-Type says about how a payload reads.
#pragma once

#include <string_view>

namespace penstock::executor {

// application/json or any "+json" type, parameters ignored.
bool IsJsonContentType(std::string_view content_type);

// text/* or an HTML form, which read as text.
bool IsTextContentType(std::string_view content_type);

}  // namespace penstock::executor
