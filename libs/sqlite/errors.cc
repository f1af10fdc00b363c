#include "libs/sqlite/errors.h"
