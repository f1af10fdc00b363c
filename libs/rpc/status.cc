#include "libs/rpc/status.h"
