// Generated code that writes messages.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

namespace penstock::protoc_gen {

// Prints Write_<type>, the `write` of its JsonCodec.
void PrintWrite(const google::protobuf::Descriptor& type, google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
