"""The fast publisher of the benchmarks, as a process."""

import json
import pathlib
import subprocess

from penstock_test.process import bin_dir


class Source:
    """tests/support/event_source with the given options (`rate=5000`); its README says what they mean."""

    def __init__(self, port, **options):
        program = bin_dir().parent / "tests" / "event_source"
        if not pathlib.Path(program).exists():
            raise FileNotFoundError(f"{program} is not built")
        command = [program, "--port", str(port)]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def finish(self, seconds=120):
        """What it printed, once it has ended by itself: {"sent": …, "accepted": …, "ack_p50_us": …}."""
        out, _ = self._process.communicate(timeout=seconds)
        if self._process.returncode != 0:
            raise AssertionError("the event source failed")
        return json.loads(out)

    def close(self):
        """Ends it, whatever it has left to send."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
