// The machine's files.
#pragma once

#include "services/event-broker/ports/file_system.h"

namespace penstock::broker {

// Thread-safe; lives as long as the process.
FileSystem& PosixFiles();

}  // namespace penstock::broker
