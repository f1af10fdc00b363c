#include "libs/rpc/generic_call.h"
