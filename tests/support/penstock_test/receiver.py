"""The fast HTTP function of the fault tests and benchmarks, as a process."""

import pathlib
import subprocess

from penstock_test.http_client import HttpClient
from penstock_test.process import bin_dir


class Receiver:
    """Runs event_receiver until close()."""

    def __init__(self):
        program = bin_dir().parent / "tests" / "event_receiver"
        if not pathlib.Path(program).exists():
            raise FileNotFoundError(f"{program} is not built")
        self._process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}/"
        self._http = HttpClient(self.port, timeout=60)

    def counts(self):
        """{"calls": all arrivals, "ids": different events}."""
        return self._http.get("/counts").json()

    def ids(self):
        """How often each event arrived, by its id."""
        lines = self._http.get("/ids").text().splitlines()
        return {event_id: int(times) for event_id, times in (line.split() for line in lines)}

    def latencies(self):
        """Microseconds from `sentus` to the first arrival, in order of arrival."""
        return [int(line) for line in self._http.get("/latencies").text().split()]

    def reset(self):
        self._http.post("/reset", "")

    def close(self):
        self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
