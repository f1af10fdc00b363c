# Writes OUT, which defines penstock::embedded::SYMBOL as the text of FILE. Run by penstock_embed.
file(READ "${FILE}" CONTENT)
set(template "${OUT}.in")
file(WRITE "${template}" [=[
// Generated from a file of text. Do not edit.
#include <string_view>

namespace penstock::embedded {
extern const std::string_view @SYMBOL@;
const std::string_view @SYMBOL@ = R"penstock(@CONTENT@)penstock";
}  // namespace penstock::embedded
]=])
configure_file("${template}" "${OUT}" @ONLY)
