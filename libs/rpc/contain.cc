#include "libs/rpc/contain.h"
