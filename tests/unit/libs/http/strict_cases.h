// What a strict HTTP/1.1 server does with bytes: one table, read by the reader's tests and by those
// of the server.
#pragma once

#include <string>
#include <vector>

#include "libs/http/server.h"

namespace penstock::http {

struct StrictCase {
  std::string name;
  std::string bytes;
  // The statuses of the answers, in order; the last is the refusal when `is_open` is false and
  // `says` is not empty.
  std::vector<int> statuses;
  // Whether the connection takes another request afterwards.
  bool is_open = false;
  // Part of the body of the last answer; of a refusal what was expected.
  std::string says;
  // The answers have no body although they give its length: to HEAD.
  bool is_bodiless = false;
};

// The limits that the table is about.
ServerOptions StrictOptions();

// Decided by the bytes alone.
std::vector<StrictCase> StrictCases();

// Requests that stop on the way: decided by time.
std::vector<StrictCase> UnfinishedCases();

}  // namespace penstock::http
