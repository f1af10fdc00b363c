#include "tests/unit/libs/http/strict_cases.h"

#include <utility>

namespace penstock::http {
namespace {

using std::string_literals::operator""s;

constexpr std::size_t kHeaderMax = 1000;
constexpr std::size_t kTargetMax = 200;
constexpr std::size_t kFieldsMax = 10;
constexpr std::size_t kBodyMax = 100;
constexpr std::size_t kExtensionMax = 64;

using Cases = std::vector<StrictCase>;

std::string Get(const std::string& target, const std::string& fields = "Host: h\r\n") {
  return "GET " + target + " HTTP/1.1\r\n" + fields + "\r\n";
}

std::string Post(const std::string& fields, const std::string& body = "") {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body;
}

std::string Chunked(const std::string& body) {
  return Post("Transfer-Encoding: chunked\r\n", body);
}

void Refuse(Cases& cases, std::string name, int status, std::string bytes, std::string says) {
  cases.push_back({std::move(name), std::move(bytes), {status}, false, std::move(says)});
}

void Take(Cases& cases, std::string name, std::string bytes, std::string says) {
  cases.push_back({std::move(name), std::move(bytes), {200}, true, std::move(says)});
}

void AddRequestLines(Cases& cases) {
  const auto refuse = [&](std::string name, int status, std::string bytes, std::string says) {
    Refuse(cases, std::move(name), status, std::move(bytes), std::move(says));
  };
  const std::string rest = "\r\nHost: h\r\n\r\n";
  refuse("two spaces", 400, "GET  / HTTP/1.1" + rest, "target: ");
  refuse("space at the line's end", 400, "GET / HTTP/1.1 " + rest, "request line: expected");
  refuse("TAB for a space", 400, "GET\t/ HTTP/1.1" + rest, "request line: expected");
  refuse("no target", 400, "GET HTTP/1.1" + rest, "request line: expected");
  refuse("no version", 400, "GET /" + rest, "request line: expected");
  refuse("no method", 400, " / HTTP/1.1" + rest, "request line: expected");
  refuse("lower-case version", 400, "GET / http/1.1" + rest, "request line: expected");
  refuse("version without a minor number", 400, "GET / HTTP/1" + rest, "request line: expected");
  refuse("version of two digits", 400, "GET / HTTP/1.10" + rest, "request line: expected");
  refuse("version of another protocol", 400, "GET / ICY/1.1" + rest, "request line: expected");
  refuse("HTTP/0.9", 505, "GET / HTTP/0.9" + rest, "HTTP/1.1");
  refuse("HTTP/1.2", 505, "GET / HTTP/1.2" + rest, "HTTP/1.1");
  refuse("HTTP/2.0", 505, "GET / HTTP/2.0" + rest, "HTTP/1.1");
  refuse("preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1");
  refuse("bad byte in the method", 400, "GE(T / HTTP/1.1" + rest, "method");
  refuse("method too long", 400, std::string(33, 'A') + " / HTTP/1.1" + rest, "method: longer");
  refuse("hello of TLS", 400, "\x16\x03\x01\x02\x00\x01\xfc\x03\x03"s, "request line");
  refuse("two empty lines first", 400, "\r\n\r\n" + Get("/"), "request line");
  refuse("LF first", 400, "\n" + Get("/"), "request line");
  refuse("CR alone first", 400, "\rGET / HTTP/1.1" + rest, "request line");
  refuse("target too long", 414, Get("/" + std::string(kTargetMax, 'a')), "target: longer");
  refuse("target without end", 414, "GET /" + std::string(kHeaderMax, 'a'), "target: longer");
  Take(cases, "target of the greatest length", Get("/" + std::string(kTargetMax - 1, 'a')),
       "GET /");
  Take(cases, "one empty line first", "\r\n" + Get("/x"), "GET /x");
  Take(cases, "method of its own", "M-SEARCH /x HTTP/1.1" + rest, "M-SEARCH /x");
}

void AddTargets(Cases& cases) {
  const auto refuse = [&](std::string name, std::string bytes, std::string says = "target") {
    Refuse(cases, std::move(name), 400, std::move(bytes), std::move(says));
  };
  refuse("target without a slash", Get("index"));
  refuse("target with a space", Get("/a b"));
  refuse("target with a TAB", Get("/a\tb"));
  refuse("target with NUL", Get("/a\0b"s));
  refuse("target with a fragment", Get("/#x"));
  refuse("target not in ASCII", Get("/\xc3\xa4"));
  refuse("absolute target of another host", Get("http://a/"));
  refuse("absolute target of another port", Get("http://h:81/"));
  refuse("absolute target with a user", Get("http://u@h/"));
  refuse("absolute target that hides its host", Get("http://h@evil/"));
  refuse("absolute target with a backslash", Get("http://h\\@evil/"));
  refuse("absolute target of another scheme", Get("ftp://h/"));
  refuse("absolute target without a host", Get("http:///x"));
  refuse("absolute target without a host, 1.0", "GET http:///x HTTP/1.0\r\n\r\n");
  refuse("absolute target with a bad port, 1.0", "GET http://h:x/ HTTP/1.0\r\n\r\n");
  refuse("authority as target", Get("h:80"));
  refuse("CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", "CONNECT");
  refuse("CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: h\r\n\r\n", "CONNECT");
  refuse("asterisk for GET", Get("*"));
  refuse("asterisk with a query", "OPTIONS *?a HTTP/1.1\r\nHost: h\r\n\r\n");
  Take(cases, "asterisk for OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * ");
  Take(cases, "absolute target", Get("http://H/x?y"), "GET /x?y ");
  Take(cases, "absolute target of TLS", Get("HTTPS://h/x"), "GET /x ");
  Take(cases, "absolute target without a path", Get("http://h?y"), "GET /?y ");
  Take(cases, "path of two slashes", Get("//evil/x"), "GET //evil/x ");
}

void AddHosts(Cases& cases) {
  const auto refuse = [&](std::string name, std::string fields) {
    Refuse(cases, std::move(name), 400, Get("/", fields), "Host: ");
  };
  refuse("no Host", "X: y\r\n");
  refuse("two Hosts", "Host: h\r\nHost: h\r\n");
  Refuse(cases, "two Hosts in 1.0", 400, "GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n", "Host: ");
  refuse("two Hosts, one of other case", "Host: h\r\nhOST: i\r\n");
  refuse("Host without a value", "Host:\r\n");
  refuse("list of Hosts", "Host: a, b\r\n");
  refuse("Host with a path", "Host: h/x\r\n");
  refuse("Host with a user", "Host: u@h\r\n");
  refuse("Host with a space", "Host: a b\r\n");
  refuse("Host with a scheme", "Host: http://h\r\n");
  refuse("Host with two ports", "Host: h:80:81\r\n");
  refuse("Host with a port too large", "Host: h:65536\r\n");
  refuse("Host with a port that is no number", "Host: h:+80\r\n");
  refuse("Host that is a port", "Host: :80\r\n");
  refuse("Host with a half escape", "Host: h%2\r\n");
  refuse("Host with an open bracket", "Host: [::1\r\n");
  refuse("Host with no address in brackets", "Host: [h]\r\n");
  refuse("Host with more behind the bracket", "Host: [::1]x\r\n");
  refuse("Host not in ASCII", "Host: \xc3\xa4\r\n");
  Take(cases, "Host with a port", Get("/", "Host: a.b-c_d:65535\r\n"), "GET /");
  Take(cases, "Host of version 6", Get("/", "Host: [::1]:8080\r\n"), "GET /");
  Take(cases, "1.0 without Host", "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /x");
}

void AddFields(Cases& cases) {
  const auto refuse = [&](std::string name, std::string fields, std::string says = "header: ") {
    Refuse(cases, std::move(name), 400, Get("/", "Host: h\r\n" + fields), std::move(says));
  };
  refuse("folded field", "X-A: b\r\n c\r\n");
  refuse("field folded by a TAB", "X-A: b\r\n\tc\r\n");
  refuse("field folded to a blank line", "X-A: b\r\n \r\n");
  Refuse(cases, "folded first field", 400, Get("/", " Host: h\r\n"), "folded");
  refuse("space before the colon", "X-A : b\r\n");
  refuse("TAB before the colon", "X-A\t: b\r\n");
  refuse("field without a colon", "X-A\r\n");
  refuse("field without a name", ": b\r\n");
  refuse("bad byte in a name", "X(A): b\r\n");
  refuse("NUL in a name", "X\0A: b\r\n"s);
  refuse("name not in ASCII", "X\xc3\xa4: b\r\n");
  refuse("NUL in a value", "X-A: b\0c\r\n"s);
  refuse("control byte in a value", "X-A: b\x01\r\n");
  refuse("DEL in a value", "X-A: b\x7f\r\n");
  refuse("CR alone in a value", "X-A: b\rc\r\n");
  refuse("CR alone before a line's end", "X-A: b\r\r\n");
  refuse("LF alone behind a field", "X-A: b\n");
  Refuse(cases, "LF alone behind the request line", 400, "GET / HTTP/1.1\nHost: h\r\n\r\n", "CRLF");
  Refuse(cases, "LF alone at the end", 400, "GET / HTTP/1.1\r\nHost: h\r\n\n", "CRLF");
  Refuse(cases, "LF everywhere", 400, "GET / HTTP/1.1\nHost: h\n\n", "CRLF");
  Refuse(cases, "CR alone behind the request line", 400, "GET / HTTP/1.1\rHost: h\r\n\r\n",
         "CR must be followed by LF");
  const std::string host = "Host: h\r\n";
  std::string many = host;
  for (std::size_t i = 1; i < kFieldsMax; ++i) many += "X: y\r\n";
  Take(cases, "as many fields as may be", Get("/", many), "GET /");
  Refuse(cases, "too many fields", 431, Get("/", many + "X: y\r\n"), "more than 10 fields");
  Refuse(cases, "header too long", 431, Get("/", host + "X: " + std::string(kHeaderMax, 'a')),
         "longer than 1000 bytes");
  Take(cases, "bytes above ASCII in a value", Get("/", host + "X: \xc3\xa4\r\n"), "GET /");
  Take(cases, "field without a value", Get("/", host + "X:\r\n"), "GET /");
}

void AddFraming(Cases& cases) {
  const auto refuse = [&](std::string name, const std::string& fields, std::string says) {
    Refuse(cases, std::move(name), 400, Post(fields, "abc"), std::move(says));
  };
  const std::string length = "Content-Length: ";
  refuse("two lengths", "Content-Length: 3\r\nContent-Length: 4\r\n", length);
  refuse("the same length twice", "Content-Length: 3\r\nContent-Length: 3\r\n", length);
  refuse("two lengths, one of other case", "Content-Length: 3\r\ncONTENT-lENGTH: 3\r\n", length);
  refuse("no length behind a length", "Content-Length: 0\r\nContent-Length: 3\r\n", length);
  refuse("list of lengths", "Content-Length: 3, 3\r\n", length);
  refuse("length with a plus", "Content-Length: +3\r\n", length);
  refuse("length with a minus", "Content-Length: -3\r\n", length);
  refuse("length in hexadecimal", "Content-Length: 0x3\r\n", length);
  refuse("length with a point", "Content-Length: 3.0\r\n", length);
  refuse("no length in its field", "Content-Length:\r\n", length);
  refuse("length with a space", "Content-Length: 3 3\r\n", length);
  refuse("length above 64 bits", "Content-Length: 18446744073709551619\r\n", length);
  refuse("length and chunks", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "exclude");
  refuse("chunks and length", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "exclude");
  refuse("length of zero and chunks", "Content-Length: 0\r\ntransfer-encoding: CHUNKED\r\n",
         "exclude");
  const std::string coding = "Transfer-Encoding: expected exactly";
  refuse("unknown coding", "Transfer-Encoding: gzip\r\n", coding);
  refuse("coding before chunked", "Transfer-Encoding: gzip, chunked\r\n", coding);
  refuse("chunked not last", "Transfer-Encoding: chunked, gzip\r\n", coding);
  refuse("chunked twice in a list", "Transfer-Encoding: chunked, chunked\r\n", coding);
  refuse("identity", "Transfer-Encoding: identity\r\n", coding);
  refuse("disguised coding", "Transfer-Encoding: xchunked\r\n", coding);
  refuse("coding in quotes", "Transfer-Encoding: \"chunked\"\r\n", coding);
  refuse("coding with a parameter", "Transfer-Encoding: chunked;q=1\r\n", coding);
  refuse("no coding in its field", "Transfer-Encoding:\r\n", coding);
  refuse("vertical TAB before the coding",
         "Transfer-Encoding: \x0b"
         "chunked\r\n",
         "control byte");
  refuse("two codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
         "Transfer-Encoding: given more than once");
  Refuse(cases, "chunks in 1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
         "HTTP/1.0");
  Refuse(cases, "length and chunks in 1.0", 400,
         "POST / HTTP/1.0\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
         "exclude");
  Refuse(cases, "body too long", 413, Post("Content-Length: 101\r\n"), "longer than 100 bytes");
  Take(cases, "body of the greatest length",
       Post("Content-Length: 100\r\n", std::string(kBodyMax, 'a')), "POST / aaa");
  Take(cases, "coding of other case", Post("Transfer-Encoding: ChunkeD\r\n", "1\r\na\r\n0\r\n\r\n"),
       "POST / a");
  Take(cases, "spaces and TABs around a length", Post("Content-Length:\t 3 \t\r\n", "abc"),
       "POST / abc");
  Take(cases, "length with zeros", Post("Content-Length: 003\r\n", "abc"), "POST / abc");
  Take(cases, "body of GET", Get("/", "Host: h\r\nContent-Length: 3\r\n") + "abc", "GET / abc");
}

void AddChunks(Cases& cases) {
  const auto refuse = [&](std::string name, const std::string& body,
                          std::string says = "body: ", int status = 400) {
    Refuse(cases, std::move(name), status, Chunked(body), std::move(says));
  };
  const std::string end = "\r\na\r\n0\r\n\r\n";
  refuse("chunk size without a digit", end);
  refuse("chunk size that is no number", "x" + end);
  refuse("chunk size with a plus", "+1" + end);
  refuse("chunk size with a minus", "-1" + end);
  refuse("chunk size with a prefix", "0x1" + end);
  refuse("chunk size behind a space", " 1" + end);
  refuse("chunk size before a space", "1 " + end);
  refuse("chunk size with an underscore", "1_0" + end);
  refuse("chunk size above 64 bits", "10000000000000001" + end);
  refuse("chunk size with too many zeros", "00000000000000001" + end);
  refuse("chunk size of the greatest number", "ffffffffffffffff\r\n", "longer", 413);
  refuse("chunk larger than a body may be", "65\r\n", "longer than 100 bytes", 413);
  refuse("chunks larger than a body may be", "64\r\n" + std::string(100, 'a') + "\r\n1\r\n",
         "longer than 100 bytes", 413);
  refuse("chunk size ended by LF", "1\na\r\n0\r\n\r\n");
  refuse("chunk size ended by CR", "1\ra\r\n0\r\n\r\n");
  refuse("chunk longer than it says", "1\r\nab\r\n0\r\n\r\n");
  refuse("chunk ended by LF", "1\r\na\n0\r\n\r\n");
  refuse("chunk without an end", "1\r\na0\r\n\r\n");
  refuse("LF in a chunk extension", "1;a\nb" + end);
  refuse("CR in a chunk extension", "1;a\rb" + end);
  refuse("chunk extension without a name", "1;" + end);
  refuse("chunk extension without a value", "1;a=" + end);
  refuse("chunk extension with an open quote", "1;a=\"b" + end);
  refuse("chunk extension with a control byte", "1;a=\"\x01\"" + end);
  refuse("chunk extension with NUL", "1;a=\"\0\""s + end);
  refuse("chunk extension with more behind a quote", "1;a=\"b\"c" + end);
  refuse("chunk extension too long", "1;" + std::string(kExtensionMax, 'a') + end, "64 bytes");
  refuse("chunk extension without end", "1;" + std::string(kHeaderMax, 'a'), "64 bytes");
  const std::string half = ";" + std::string(kExtensionMax / 2, 'a');
  refuse("chunk extensions too long together", "1" + half + "\r\na\r\n1" + half + end, "64 bytes");
  const std::string trailer = "trailer: ";
  refuse("trailer ended by LF", "0\r\nX: y\n\r\n", trailer);
  refuse("last line ended by LF", "0\r\n\n", trailer);
  refuse("folded trailer", "0\r\nX: y\r\n z\r\n\r\n", trailer);
  refuse("trailer without a colon", "0\r\nX\r\n\r\n", trailer);
  refuse("trailer with a space before the colon", "0\r\nX : y\r\n\r\n", trailer);
  refuse("trailer with NUL", "0\r\nX: \0\r\n\r\n"s, trailer);
  refuse("trailer with CR alone", "0\r\nX: y\rz\r\n\r\n", trailer);
  refuse("length in the trailer", "0\r\nContent-Length: 3\r\n\r\n", trailer);
  refuse("coding in the trailer", "0\r\nTransfer-Encoding: chunked\r\n\r\n", trailer);
  refuse("Host in the trailer", "0\r\nHost: i\r\n\r\n", trailer);
  refuse("request in place of the trailer", "0\r\nGET /x HTTP/1.1\r\n\r\n", trailer);
  refuse("trailer too long", "0\r\nX: " + std::string(kHeaderMax, 'a'), trailer, 431);
  std::string fields;
  for (std::size_t i = 0; i <= kFieldsMax; ++i) fields += "X: y\r\n";
  refuse("trailer of too many fields", "0\r\n" + fields + "\r\n", trailer, 431);
  const auto take = [&](std::string name, const std::string& body, std::string says) {
    Take(cases, std::move(name), Chunked(body), std::move(says));
  };
  take("chunks", "3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", "POST / abc0123456789");
  take("chunk with extensions", "1;a ; b = c;d=\"\\\"\"\r\na\r\n00;e\r\n\r\n", "POST / a");
  take("chunks and a trailer", "1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n", "POST / a");
  take("no chunk", "0\r\n\r\n", "POST / ");
}

void AddConnections(Cases& cases) {
  cases.push_back({"three requests in order",
                   Get("/1") + Post("Content-Length: 1\r\n", "2") + Get("/3"),
                   {200, 200, 200},
                   true,
                   "GET /3 "});
  cases.push_back({"refused behind one that was not",
                   Get("/1") + Get("/2", ""),
                   {200, 400},
                   false,
                   "Host: missing"});
  cases.push_back({"nothing behind a refusal", Get("/1", "") + Get("/2"), {400}, false, "Host: "});
  cases.push_back({"chunks, then another request",
                   Chunked("1\r\na\r\n0\r\n\r\n") + Get("/2"),
                   {200, 200},
                   true,
                   "GET /2 "});
  const std::string head = "HEAD /x HTTP/1.1\r\nHost: h\r\n";
  cases.push_back({"HEAD", head + "\r\n", {200}, true, "", true});
  cases.push_back({"HEAD and close", head + "Connection: close\r\n\r\n", {200}, false, "", true});
  cases.push_back({"HEAD refused", "HEAD /x HTTP/1.1\r\n\r\n", {400}, false, "", true});
  cases.push_back({"close", Get("/", "Host: h\r\nConnection: close\r\n"), {200}, false, ""});
  cases.push_back(
      {"close in a list", Get("/", "Host: h\r\nConnection: x ,\tCLOSE\r\n"), {200}, false, ""});
  cases.push_back({"close against keep-alive",
                   Get("/", "Host: h\r\nConnection: keep-alive\r\nConnection: close\r\n"),
                   {200},
                   false,
                   ""});
  cases.push_back({"nothing behind a close",
                   Get("/", "Host: h\r\nConnection: close\r\n") + Get("/"),
                   {200},
                   false,
                   ""});
  cases.push_back({"1.0", "GET / HTTP/1.0\r\n\r\n", {200}, false, ""});
  cases.push_back(
      {"1.0 that stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", {200}, true, ""});
  cases.push_back({"1.0 close against keep-alive",
                   "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n",
                   {200},
                   false,
                   ""});
  cases.push_back({"1.0 with another expectation",
                   "POST / HTTP/1.0\r\nExpect: x\r\nContent-Length: 1\r\n\r\na",
                   {200},
                   false,
                   "POST / a"});
  Refuse(cases, "other expectation", 417, Post("Expect: 200-ok\r\n"), "100-continue");
  Refuse(cases, "list of expectations", 417, Post("Expect: 100-continue, x\r\n"), "100-continue");
  Refuse(cases, "no expectation in its field", 417, Post("Expect:\r\n"), "100-continue");
  Refuse(cases, "expectation of too much", 413,
         Post("Expect: 100-continue\r\nContent-Length: 101\r\n"), "longer than 100 bytes");
  Take(cases, "expectation without a body", Post("Expect: 100-continue\r\n"), "POST / ");
  Take(cases, "expectation with an empty body",
       Post("Expect: 100-continue\r\nContent-Length: 0\r\n"), "POST / ");
}

}  // namespace

ServerOptions StrictOptions() {
  ServerOptions options;
  options.limits.header_bytes_max = kHeaderMax;
  options.limits.target_bytes_max = kTargetMax;
  options.limits.header_fields_max = kFieldsMax;
  options.limits.body_bytes_max = kBodyMax;
  options.limits.chunk_extension_bytes_max = kExtensionMax;
  return options;
}

std::vector<StrictCase> StrictCases() {
  Cases cases;
  AddRequestLines(cases);
  AddTargets(cases);
  AddHosts(cases);
  AddFields(cases);
  AddFraming(cases);
  AddChunks(cases);
  AddConnections(cases);
  return cases;
}

std::vector<StrictCase> UnfinishedCases() {
  const std::string in_time = "did not arrive in time";
  return {
      {"nothing", "", {}, false, ""},
      {"an empty line", "\r\n", {}, false, ""},
      {"half a method", "GE", {408}, false, "header " + in_time},
      {"half a request line", "GET / HT", {408}, false, "header " + in_time},
      {"a head without its end", "GET / HTTP/1.1\r\nHost: h\r\n", {408}, false, in_time},
      {"half a body", Post("Content-Length: 3\r\n", "ab"), {408}, false, "body " + in_time},
      {"half a chunk size", Chunked("1"), {408}, false, "body " + in_time},
      {"half a chunk", Chunked("2\r\na"), {408}, false, "body " + in_time},
      {"chunks without their end", Chunked("1\r\na\r\n"), {408}, false, "body " + in_time},
      {"half a trailer", Chunked("0\r\nX: y\r\n"), {408}, false, "body " + in_time},
      {"idle behind an answer", Get("/"), {200}, false, "GET / "},
      {"half a request behind an answer", Get("/") + "GET", {200, 408}, false, in_time},
  };
}

}  // namespace penstock::http
