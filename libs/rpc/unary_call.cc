#include "libs/rpc/unary_call.h"
