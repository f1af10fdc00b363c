#include "libs/webrpc/text.h"

#include "libs/protojson/base64.h"

namespace penstock::webrpc {

bool DecodeText(std::string_view text, std::string* out) {
  out->clear();
  std::string part;
  while (!text.empty()) {
    std::size_t end = text.find('=');
    end = end == std::string_view::npos ? text.size() : text.find_first_not_of('=', end);
    const std::string_view piece = text.substr(0, end);
    // Without the padding of a piece nobody could tell where the next one begins.
    if (piece.size() % 4 != 0 || !protojson::DecodeBase64(piece, &part)) return false;
    *out += part;
    text.remove_prefix(piece.size());
  }
  return true;
}

}  // namespace penstock::webrpc
