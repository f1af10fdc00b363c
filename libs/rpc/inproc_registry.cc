#include "libs/rpc/inproc_registry.h"
