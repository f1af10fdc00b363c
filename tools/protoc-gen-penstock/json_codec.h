// Generated JSON code: one protojson::JsonCodec for each message of a file.
#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/printer.h>

namespace penstock::protoc_gen {

// Prints a source file that enters codecs for the messages of `file`, nested ones included, into
// libs/protojson. Well-known types are left out: the library itself has them.
void PrintJsonCodecs(const google::protobuf::FileDescriptor& file,
                     google::protobuf::io::Printer& printer);

}  // namespace penstock::protoc_gen
