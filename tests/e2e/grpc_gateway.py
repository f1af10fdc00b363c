"""One table of REST requests through our transcoder and through grpc-gateway's reverse proxy, over the same services.

Where the two answer differently, the table says how: such a case fails when they agree.
"""

import json
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.grpc_gateway import GrpcGateway, gateway_by
from penstock_test.suite import run_with_suite

ROOT = "/api/v1/spaces/default"
FUNCTIONS = f"{ROOT}/functions"
SUBSCRIPTIONS = f"{ROOT}/subscriptions"
HTTP = {"http": {"url": "http://127.0.0.1:9/x"}}

# What of grpc-gateway's errors is left aside in every comparison: `error`, a second copy of `message`.
# docs/transcoding.md has the list of differences.
EMPTY_LISTS = "empty lists of pages are left out"
CLOUD_EVENTS = "events have the form of their proto message, not CloudEvents'"
PARSE_ERROR = "the words and details of errors about the request itself"
LENIENT = "unknown query parameters and fields of bodies are ignored"
PRECONDITION = "FAILED_PRECONDITION is 412"
NO_METHOD = "404 and 405 are plain text, without Allow; a verb that a path does not have is 404"
MAP_QUERY = "maps in the query are not read as labels.key= but as labels[key]= only"
ESCAPED = "an encoded slash in a variable counts as a slash"
HEAD = "HEAD is not served in the place of GET"
LINES = "a stream is lines of {\"result\": …}"
TWICE = "a parameter that is given twice counts once"
DUPLICATE_NAMES = "names that are there twice in a body count once"
NO_MESSAGE = "an error without words has no `message`"
MASK = "PATCH without a mask changes the fields that are set: it cannot empty one"
FORM = "bodies are read whatever their Content-Type says"

# (name, method, path, body, difference); `{me}` is an id of the side's own. The order matters.
CASES = [
    ("create", "POST", f"{FUNCTIONS}?functionId={{me}}", HTTP, None),
    ("create again", "POST", f"{FUNCTIONS}?functionId={{me}}", HTTP, None),
    ("get", "GET", f"{FUNCTIONS}/{{me}}", None, None),
    ("get none", "GET", f"{FUNCTIONS}/no-such", None, None),
    ("list", "GET", f"{FUNCTIONS}?metadata[side]={{me}}", None, EMPTY_LISTS),
    ("list by two names", "GET", f"{FUNCTIONS}?page_size=1&creator=nobody", None, EMPTY_LISTS),
    ("patch", "PATCH", f"{FUNCTIONS}/{{me}}", {"description": "d", "timeout": "3.5s"}, None),
    ("patch with a mask", "PATCH", f"{FUNCTIONS}/{{me}}?updateMask=description", {"description": "e"}, None),
    ("patch metadata", "PATCH", f"{FUNCTIONS}/{{me}}", {"metadata": {"side": "{me}", "ü": "☃ \" \\ / \t"}}, None),
    ("original names", "PATCH", f"{FUNCTIONS}/{{me}}", {"max_concurrency": 3}, None),
    ("number as text", "PATCH", f"{FUNCTIONS}/{{me}}", {"maxConcurrency": "4"}, None),
    ("null is unset", "PATCH", f"{FUNCTIONS}/{{me}}?updateMask=description", {"description": None}, None),
    ("filled again", "PATCH", f"{FUNCTIONS}/{{me}}", {"description": "x"}, None),
    ("emptied without a mask", "PATCH", f"{FUNCTIONS}/{{me}}", {"description": None, "timeout": "4s"}, MASK),
    ("emptied again", "PATCH", f"{FUNCTIONS}/{{me}}?updateMask=description", {}, None),
    ("list with map", "GET", f"{FUNCTIONS}?metadata[side]={{me}}", None, None),
    ("map with a dot", "GET", f"{FUNCTIONS}?metadata.side={{me}}", None, MAP_QUERY),
    ("versions", "GET", f"{FUNCTIONS}/{{me}}/versions?pageSize=1", None, None),
    ("bad enum", "GET", f"{ROOT}/executions?state=NO_SUCH", None, PARSE_ERROR),
    ("enum by name", "GET", f"{ROOT}/executions?state=FAILED", None, EMPTY_LISTS),
    ("enum by number", "GET", f"{ROOT}/executions?state=1", None, EMPTY_LISTS),
    ("timestamp in the query", "GET", f"{ROOT}/executions?startTimeFrom=2020-01-02T03:04:05Z", None, EMPTY_LISTS),
    ("bad timestamp", "GET", f"{ROOT}/executions?startTimeFrom=yesterday", None, PARSE_ERROR),
    ("bad number", "GET", f"{FUNCTIONS}?pageSize=x", None, PARSE_ERROR),
    ("negative page", "GET", f"{FUNCTIONS}?pageSize=-1", None, None),
    ("unknown parameter", "GET", f"{FUNCTIONS}/{{me}}?nothing=1", None, LENIENT),
    ("parameter twice", "GET", f"{FUNCTIONS}?pageSize=1&pageSize=2&metadata[side]={{me}}", None, TWICE),
    ("encoded letter", "GET", f"{FUNCTIONS}/no%2Dsuch", None, None),
    ("encoded slash", "GET", f"{FUNCTIONS}/no%2Fsuch", None, ESCAPED),
    ("unknown field", "PATCH", f"{FUNCTIONS}/{{me}}", {"nothing": 1}, LENIENT),
    ("wrong type", "PATCH", f"{FUNCTIONS}/{{me}}", {"timeout": 5}, PARSE_ERROR),
    ("no JSON", "PATCH", f"{FUNCTIONS}/{{me}}", b"{", PARSE_ERROR),
    ("name twice", "PATCH", f"{FUNCTIONS}/{{me}}", b'{"description":"a","description":"b"}', DUPLICATE_NAMES),
    ("a form", "PATCH", f"{FUNCTIONS}/{{me}}", ("text/plain", b'{"description":"f"}'), FORM),
    ("unknown path", "GET", "/api/v1/nothing", None, NO_METHOD),
    ("unknown method", "PUT", FUNCTIONS, None, NO_METHOD),
    ("HEAD", "HEAD", f"{FUNCTIONS}/{{me}}", None, HEAD),
    ("subscribe", "POST", f"{SUBSCRIPTIONS}?subscriptionId={{me}}", {"eventType": "t.{me}", "function": "{me}"}, None),
    ("invalid subscription", "POST", f"{SUBSCRIPTIONS}?subscriptionId={{me}}2", {"function": "{me}"}, None),
    ("two violations", "POST", SUBSCRIPTIONS, {"eventType": "a b", "function": "{me}"}, None),
    ("filters", "PATCH", f"{SUBSCRIPTIONS}/{{me}}", {"filters": [{"any": [{"exact": {"type": "t"}}, {"not": {"prefix": {"source": "/"}}}]}]}, None),
    ("nested messages", "PATCH", f"{SUBSCRIPTIONS}/{{me}}", {"retry": {"maxAttempts": 3, "initialDelay": "0.250s", "jitter": 0.5}}, None),
    ("enum in a body", "PATCH", f"{SUBSCRIPTIONS}/{{me}}", {"retry": {"backoff": "LINEAR"}}, None),
    ("status", "GET", f"{SUBSCRIPTIONS}/{{me}}:status", None, None),
    ("a verb", "POST", f"{SUBSCRIPTIONS}/{{me}}:pause", {}, None),
    ("a verb again", "POST", f"{SUBSCRIPTIONS}/{{me}}:resume", {}, None),
    ("an unknown verb", "POST", f"{SUBSCRIPTIONS}/{{me}}:nothing", {}, NO_METHOD),
    ("pull of another kind", "POST", f"{SUBSCRIPTIONS}/{{me}}:pull", {"maxEvents": 1}, PRECONDITION),
    ("function in use", "DELETE", f"{FUNCTIONS}/{{me}}", None, PRECONDITION),
    ("replays", "GET", f"{SUBSCRIPTIONS}/{{me}}/replays", None, EMPTY_LISTS),
    ("events", "GET", "/events?type=shared", None, CLOUD_EVENTS),
    ("events in a space", "GET", "/spaces/default/events?type=none", None, None),
    ("an event", "GET", "/events/shared-1", None, CLOUD_EVENTS),
    ("no event", "GET", "/events/shared-2", None, None),
    ("the verb of an event", "GET", "/events/shared-1:explain", None, CLOUD_EVENTS),
    ("a stream", "TAIL", "/events:tail?fromSequence=1&type=shared", None, LINES),
    ("filter test", "POST", "/api/v1/filters:test", {"eventType": "x*", "event": {"specversion": "1.0", "id": "1", "source": "/s", "type": "xy"}}, None),
    ("stale etag", "DELETE", f"{SUBSCRIPTIONS}/{{me}}?etag=old", None, None),
    ("unsubscribe", "DELETE", f"{SUBSCRIPTIONS}/{{me}}", None, None),
    ("unsubscribe again", "DELETE", f"{SUBSCRIPTIONS}/{{me}}", None, None),
    ("or missing", "DELETE", f"{SUBSCRIPTIONS}/{{me}}?allowMissing=true", None, None),
    ("unimplemented", "GET", f"{ROOT}/triggers", None, NO_MESSAGE),
    ("spaces", "GET", "/api/v1/spaces", None, EMPTY_LISTS),
    ("delete", "DELETE", f"{FUNCTIONS}/{{me}}", None, None),
]

# Of one call and moment alone, whichever side made it.
OWN = {"uid", "etag", "version", "nextPageToken", "createTime", "updateTime", "effectiveSequence", "resolvedSequence", "revision", "sequence", "floorSequence", "headSequence", "lag"}


def with_id(value, me):
    return json.loads(json.dumps(value).replace("{me}", me))


def plain(value, me):
    """A JSON value without what is of one side alone."""
    if isinstance(value, dict):
        return {
            key: plain(one, me)
            for key, one in value.items()
            if key not in OWN and not (key == "error" and "code" in value and value.get("message") == one)
        }
    if isinstance(value, list):
        return [plain(one, me) for one in value]
    if isinstance(value, str):
        value = re.sub(r'current: "\w+"', "current", value.replace(me, "{me}"))
        # One of the two makes a version where the other changes nothing.
        return re.sub(r"@\d+$", "@{version}", value)
    return value


def first_line(http, path):
    """Status and first line of an answer that does not end."""
    connection, answer = http.stream(path)
    try:
        return answer.status, json.loads(answer.readline())
    finally:
        connection.close()


def ask(http, me, method, path, body):
    """(status, JSON or text) of a case on one side."""
    path = path.replace("{me}", me)
    if method == "TAIL":
        return first_line(http, path)
    headers = {}
    if isinstance(body, tuple):
        headers["Content-Type"], body = body
    elif body is not None:
        headers["Content-Type"] = "application/json"
        body = body if isinstance(body, bytes) else json.dumps(with_id(body, me))
    response = http.request(method, path, body=body, headers=headers)
    text = response.text()
    try:
        return response.status, plain(json.loads(text), me)
    except ValueError:
        return response.status, re.sub(re.escape(me), "{me}", text)


def test(suite, checks):
    theirs = GrpcGateway(suite)
    event = {"specversion": "1.0", "id": "shared-1", "source": "/s", "type": "shared", "data": {"n": 1}}
    published = suite.http.post("/events", body=json.dumps(event), headers={"Content-Type": "application/cloudevents+json"})
    checks.status("an event is there", published, 202)
    differences = set()
    for name, method, path, body, difference in CASES:
        ours = ask(suite.http, "side-a", method, path, body)
        other = ask(theirs.http, "side-b", method, path, body)
        if difference is None:
            checks.equal(name, other, ours)
        else:
            differences.add(difference)
            checks.that(f"{name}: differs: {difference}", other != ours, f"both answer {ours}")
    print(f"{len(CASES)} cases, {len(differences)} kinds of differences")
    through(suite, theirs, checks)
    callers(suite, theirs, checks)
    theirs_gone(suite, theirs, checks)


def through(suite, theirs, checks):
    """A gateway that leaves transcoding to the proxy answers as that does, and serves the rest itself."""
    gateway = gateway_by(suite, f"http://127.0.0.1:{theirs.port}")
    for name, method, path, body, _ in CASES:
        if method in ("TAIL", "HEAD", "PUT") or name in ("unknown path", "a form", "an unknown verb"):
            continue
        checks.equal(
            f"through the gateway: {name}",
            ask(gateway, "side-c", method, path, body),
            ask(theirs.http, "side-d", method, path, body),
        )
    checks.equal("streams are the gateway's own", first_line(gateway, "/events:tail?fromSequence=1&type=shared")[1]["event"]["id"], "shared-1")
    checks.equal("and so are unknown methods", gateway.request("PUT", FUNCTIONS).status, 405)


def callers(suite, theirs, checks):
    """The services learn who calls from the gateway, and from nobody else."""
    keys = suite.folder / "keys"
    keys.write_text("ada:0123456789abcdef\n")
    url = f"http://127.0.0.1:{theirs.port}"
    gateway = gateway_by(suite, url, auth="api_keys", auth_keys_file=keys)
    path = f"{FUNCTIONS}?functionId=of-ada"
    checks.status("a key is wanted", gateway.post(path, json_body=HTTP), 401)
    headers = {"X-API-Key": "0123456789abcdef", "Grpc-Metadata-Penstock-Principal": "eve"}
    made = gateway.post(path, json_body=HTTP, headers=headers)
    checks.equal("the principal arrives", made.json().get("creator"), "ada")
    forged = {"Grpc-Metadata-Penstock-Principal": "eve"}
    made = theirs.http.post(f"{FUNCTIONS}?functionId=of-eve", json_body=HTTP, headers=forged)
    checks.that("without the peer token none does", made.json().get("creator", "") == "", made)


def theirs_gone(suite, theirs, checks):
    gateway = gateway_by(suite, f"http://127.0.0.1:{theirs.port}")
    suite.processes["grpc-gateway"].kill()
    refused = gateway.get(FUNCTIONS)
    checks.status("without the proxy it says which one is missing", refused, 503)
    checks.contains("by its key", refused.text(), "transcoding.by")


if __name__ == "__main__":
    run_with_suite(test, needs_shape="services")
