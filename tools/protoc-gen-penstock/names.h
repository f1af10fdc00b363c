// Names and literals in generated code.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string>
#include <string_view>

namespace penstock::protoc_gen {

// The path of a .proto file without its ending.
std::string Stem(const google::protobuf::FileDescriptor& file);

// `text` as a part of an identifier: what is no letter or digit becomes _ and its code in hex, as
// protoc does it. cmake/PenstockProto.cmake does the same.
std::string Mangled(std::string_view text);

// The full name of a type as an identifier.
std::string Identifier(std::string_view full_name);

// `text` as a C++ string literal with its quotes.
std::string Literal(std::string_view text);

}  // namespace penstock::protoc_gen
