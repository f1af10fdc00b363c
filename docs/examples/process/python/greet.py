#!/usr/bin/env python3
"""A function in Python that speaks the line protocol itself."""

import json
import sys

for line in sys.stdin:
    call = json.loads(line)
    name = (call["payload"] or {}).get("name")
    if name:
        print("greeting", name, file=sys.stderr)
        answer = {"payload": {"hello": name, "from": "python"}}
    else:
        answer = {"error": {"category": "InputError", "type": "NoName", "message": "name is missing"}}
    answer["executionId"] = call["context"]["executionId"]
    print(json.dumps(answer), flush=True)
