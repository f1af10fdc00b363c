#include "libs/rpc/write_pump.h"
