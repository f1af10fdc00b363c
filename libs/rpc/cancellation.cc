#include "libs/rpc/cancellation.h"
