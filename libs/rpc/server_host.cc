#include "libs/rpc/server_host.h"
