"""The fast HTTP function of the fault tests and benchmarks, as a process."""

import pathlib
import subprocess
import urllib.parse

from penstock_test.http_client import HttpClient
from penstock_test.process import bin_dir


class Receiver:
    """Runs tests/support/function_server until close(); its README says what the answers mean."""

    def __init__(self):
        program = bin_dir().parent / "tests" / "function_server"
        if not pathlib.Path(program).exists():
            raise FileNotFoundError(f"{program} is not built")
        self._process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        self.pid = self._process.pid
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/"
        self._http = HttpClient(self.port, timeout=60)

    def plan(self, path, **parameters):
        """How calls of `path` end from now on: fail, hang, poison (shares), status, delay_ms, hang_ms, seed."""
        query = urllib.parse.urlencode({"path": path, **parameters})
        answer = self._http.post(f"/plan?{query}", "")
        if answer.status != 200:
            raise ValueError(answer.text())

    def counts(self):
        """All counters; {"calls": all arrivals, "ids": different events, "overlaps": …}."""
        return self._http.get("/counts").json()

    def ids(self):
        """How often each event arrived, by its id."""
        lines = self._http.get("/ids").text().splitlines()
        return {event_id: int(times) for event_id, times in (line.split() for line in lines)}

    def missing(self, event_ids):
        """Those of `event_ids` that no call succeeded for."""
        return set(self._http.post("/missing", "\n".join(event_ids)).text().splitlines())

    def unsuccessful(self):
        """{delivery id: (calls, failed, hung, gone)} of the deliveries without a success."""
        lines = [line.split() for line in self._http.get("/unsuccessful").text().splitlines()]
        return {words[0]: tuple(int(word) for word in words[1:]) for words in lines}

    def passed(self):
        """{delivery id: succeeded later} of those that a later event of their key did not wait for."""
        lines = [line.split() for line in self._http.get("/passed").text().splitlines()]
        return {words[0]: int(words[1]) > 0 for words in lines}

    def violations(self):
        """The first overlaps and inversions, in words."""
        return self._http.get("/violations").text().splitlines()

    def latencies(self):
        """Microseconds from `sentus` to the first arrival, in order of arrival."""
        return [int(line) for line in self._http.get("/latencies").text().split()]

    def reset(self):
        self._http.post("/reset", "")

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
