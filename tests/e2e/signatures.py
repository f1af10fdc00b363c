"""Signed requests: HTTP functions and callbacks verify them as Standard Webhooks does, and keys are replaced without a gap."""

import base64
import hashlib
import hmac
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.api import Api
from penstock_test.checks import wait_until
from penstock_test.function_server import Answer, FunctionServer, json_answer
from penstock_test.suite import run_with_suite

OLD = b"0123456789abcdef0123456789abcdef"
NEW = b"fedcba9876543210fedcba9876543210"


def written(key):
    return "whsec_" + base64.b64encode(key).decode()


def verifies(call, key):
    """As a receiver does it, which knows one key."""
    age = abs(time.time() - int(call.headers["webhook-timestamp"]))
    signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
    wanted = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return age < 300 and wanted in call.headers["webhook-signature"].split(" ")


def set_values(api, values):
    return api.http.patch(f"{api.root}/secrets/hooks?updateMask=values", {"values": values})


def functions(suite, api, server, checks):
    refused = api.create_function("signed", {"http": {"url": f"{server.url}/signed", "signingSecret": "hooks"}})
    checks.status("a secret that is not there", refused, 400)
    checks.contains("is named with its field", refused.text(), "function.http.signing_secret")
    made = api.http.post(f"{api.root}/secrets?secretId=hooks", json_body={"values": {"a": written(OLD)}})
    checks.status("with the secret", made, 200)
    created = suite.cli("function", "create", "signed", "--url", f"{server.url}/signed", "--signing-secret", "hooks")
    checks.equal("the function is created", created.returncode, 0)
    shown = api.get("functions", "signed")
    checks.equal("and says what signs", shown.json()["http"]["signingSecret"], "hooks")
    checks.status("a secret that signs is in use", api.delete("secrets", "hooks"), 400)

    api.invoke("signed", {"n": 1})
    call = server.calls("/signed")[-1]
    checks.that("a call is signed", verifies(call, OLD), call.headers)
    checks.that("with that key alone", not verifies(call, NEW), call.headers)
    checks.equal("and has its body", call.json(), {"n": 1})

    server.forget()
    server.plan("/signed", Answer(503), Answer(200))
    retry = {"maxAttempts": 3, "initialDelay": "0.01s"}
    subscribed = api.subscribe("s", "signed.event", "signed", retry=retry)
    checks.status("a subscription", subscribed, 200)
    api.publish("signed.event", {"a": "é"})
    wait_until(lambda: len(server.calls("/signed")) == 2, 20, "the second attempt")
    attempts = server.calls("/signed")
    checks.that("each attempt is signed", all(verifies(call, OLD) for call in attempts), attempts)
    checks.equal("under one id", len({call.headers["webhook-id"] for call in attempts}), 1)


def keys_change(api, server, checks):
    server.forget()
    checks.status("a second key", set_values(api, {"a": written(OLD), "b": NEW.decode()}), 200)

    def both():
        api.invoke("signed", {})
        call = server.calls("/signed")[-1]
        return verifies(call, OLD) and verifies(call, NEW)

    wait_until(both, 20, "signatures by both keys")
    checks.status("the first goes", set_values(api, {"b": NEW.decode()}), 200)

    def only_new():
        api.invoke("signed", {})
        call = server.calls("/signed")[-1]
        return verifies(call, NEW) and not verifies(call, OLD)

    wait_until(only_new, 20, "signatures by the new key alone")
    checks.that("no call went without one", all("webhook-signature" in c.headers for c in server.calls("/signed")))


def kept_out_of_records(api, server, checks):
    server.plan("/signed", json_answer({"key": NEW.decode()}))
    api.invoke("signed", {})

    def records():
        return api.http.get(f"{api.root}/executions?function=signed&pageSize=5").text()

    wait_until(lambda: "[signing secret b]" in records(), 20, "the record of an answer with the key")
    checks.that("the key is in none", NEW.decode() not in records(), records())


def callbacks(api, server, checks):
    spec = {"noop": {}, "async": {"callbackUrl": f"{server.url}/told", "callbackSigningSecret": "hooks"}}
    checks.status("a function whose callbacks are signed", api.create_function("job", spec), 200)
    started = api.http.post(f"{api.root}/functions/job:invokeAsync", json_body={"n": 5})
    checks.status("an asynchronous call", started, 202)
    wait_until(lambda: server.calls("/told"), 20, "the callback")
    call = server.calls("/told")[0]
    checks.that("is told with a signature", verifies(call, NEW), call.headers)
    checks.equal("with the result", call.json(), {"n": 5})
    checks.equal("as an event", call.headers["ce-penstockstate"], "SUCCEEDED")
    secret = [name for name in call.headers if "callback" in name]
    checks.equal("and nothing of how", secret, [])


def main(suite, checks):
    api = Api(suite.http)
    server = FunctionServer()
    try:
        functions(suite, api, server, checks)
        keys_change(api, server, checks)
        kept_out_of_records(api, server, checks)
        callbacks(api, server, checks)
    finally:
        server.close()


if __name__ == "__main__":
    run_with_suite(main, has_secrets=True)
