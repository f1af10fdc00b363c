#include "libs/sqlite/reader_pool.h"
