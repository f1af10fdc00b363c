// The update mask that a PATCH means when it does not say one.
#pragma once

#include <google/protobuf/message.h>

#include "libs/protojson/json_tree.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// The request's FieldMask field `update_mask`, when the route is a PATCH with a message as its
// body; else null.
const google::protobuf::FieldDescriptor* UpdateMaskField(const Route& route);

// Adds the paths of the fields that are present in `body`, which has been read into the route's
// body field, to the FieldMask `mask`. A nested message counts as a whole: what the body gives
// replaces it. Fields that the path binds are left out.
void FillUpdateMask(const Route& route, const protojson::JsonValue& body,
                    google::protobuf::Message* mask);

}  // namespace penstock::transcode
