#include "libs/rpc/call_context.h"
