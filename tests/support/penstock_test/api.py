"""The management surface over REST, and the ways to publish."""

import json
import urllib.parse
import uuid


class Api:
    """REST calls in one space. Each gives the Response; nothing is checked here."""

    def __init__(self, http, space="default"):
        self.http = http
        self.space = space
        self.root = f"/api/v1/spaces/{space}"

    def create_function(self, function_id, spec):
        return self.http.post(
            f"{self.root}/functions?functionId={_quoted(function_id)}", json_body=spec
        )

    def create_python(self, function_id, source, **more):
        return self.create_function(
            function_id, {"process": {"runtime": "python3", "source": source}, **more}
        )

    def create_http(self, function_id, url, **more):
        return self.create_function(function_id, {"http": {"url": url}, **more})

    def create_subscription(self, subscription_id, spec):
        path = f"{self.root}/subscriptions?subscriptionId={_quoted(subscription_id)}"
        return self.http.post(path, json_body=spec)

    def subscribe(self, subscription_id, event_type, function, **more):
        return self.create_subscription(
            subscription_id, {"eventType": event_type, "function": function, **more}
        )

    def get(self, collection, resource_id=None, **parameters):
        path = f"{self.root}/{collection}"
        if resource_id is not None:
            path += "/" + _quoted(resource_id)
        if parameters:
            path += "?" + urllib.parse.urlencode(parameters)
        return self.http.get(path)

    def update(self, collection, resource_id, body, mask=None):
        path = f"{self.root}/{collection}/{_quoted(resource_id)}"
        if mask:
            path += "?updateMask=" + urllib.parse.quote(mask)
        return self.http.patch(path, body)

    def delete(self, collection, resource_id, **parameters):
        path = f"{self.root}/{collection}/{_quoted(resource_id)}"
        if parameters:
            path += "?" + urllib.parse.urlencode(parameters)
        return self.http.delete(path)

    def invoke(self, function_id, body, content_type="application/json", **more):
        return self.http.post(
            f"{self.root}/functions/{_quoted(function_id)}:invoke",
            body if isinstance(body, (bytes, str)) else json.dumps(body),
            headers={"Content-Type": content_type},
            **more,
        )

    def executions(self, **parameters):
        return self.get("executions", **parameters).json().get("executions", [])

    def dead_letters(self, **parameters):
        return self.get("deadLetters", **parameters).json().get("deadLetters", [])

    def redrive(self, **what):
        return self.http.post(f"{self.root}/deadLetters:redrive", json_body=what)

    def purge(self, **what):
        return self.http.post(f"{self.root}/deadLetters:purge", json_body=what)

    def events_path(self):
        return "/events" if self.space == "default" else f"/spaces/{self.space}/events"

    def publish(self, event_type, data=None, event_id=None, source="/test", **attributes):
        """One event in binary mode with a JSON payload."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": event_id or str(uuid.uuid4()),
            "ce-source": source,
            "ce-type": event_type,
            "Content-Type": "application/json",
        }
        headers.update({f"ce-{name}": str(value) for name, value in attributes.items()})
        return self.http.post(self.events_path(), json.dumps(data), headers=headers)

    def publish_batch(self, events):
        return self.http.post(
            self.events_path(),
            json.dumps(events),
            headers={"Content-Type": "application/cloudevents-batch+json"},
        )


def cloud_event(event_type, data=None, event_id=None, source="/test", **attributes):
    """An event in the JSON event format."""
    event = {
        "specversion": "1.0",
        "id": event_id or str(uuid.uuid4()),
        "source": source,
        "type": event_type,
        **attributes,
    }
    if data is not None:
        event["data"] = data
    return event


def violated_fields(response):
    """The fields that a google.rpc.Status body names in its BadRequest details."""
    fields = []
    for detail in response.json().get("details", []):
        fields += [violation.get("field") for violation in detail.get("fieldViolations", [])]
    return fields


def _quoted(text):
    return urllib.parse.quote(text, safe="")
