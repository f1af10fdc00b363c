#include "libs/rpc/watchdog.h"
