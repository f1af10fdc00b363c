#include "libs/rpc/call_options.h"
