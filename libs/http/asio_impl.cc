// The compiled part of Asio, once for the process.
#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
