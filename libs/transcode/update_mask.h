// The update mask that a PATCH means when it does not say one.
#pragma once

#include <google/protobuf/message.h>

#include <string_view>

#include "libs/protojson/json_tree.h"
#include "libs/transcode/route_table.h"

namespace penstock::transcode {

// What Route::update_mask_field is to be.
const google::protobuf::FieldDescriptor* UpdateMaskField(const Route& route);

// Adds the paths of the fields that are present in `body`, which has been read into the route's
// body field of `request`, to its update mask, unless that is set or the route has none. A nested
// message counts as a whole: what the body gives replaces it. Fields that the path binds are left
// out.
void FillUpdateMask(const Route& route, const protojson::JsonValue& body,
                    google::protobuf::Message* request);

// The same from the body's text; false when the text should be parsed as a whole.
bool FillUpdateMask(const Route& route, std::string_view body, google::protobuf::Message* request);

}  // namespace penstock::transcode
