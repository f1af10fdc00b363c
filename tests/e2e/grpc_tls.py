"""TLS on the gRPC listener: who trusts the certificate gets through, and a new one is taken over without a restart."""

import json
import pathlib
import shutil
import signal
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from penstock_test.certificates import make_authority
from penstock_test.checks import wait_until
from penstock_test.suite import run_with_suite

FOLDER = None  # Of certificates and keys; set below.


def use(name):
    """The gateway's files are those of `name` from its next reading on."""
    for kind in ("pem", "key"):
        shutil.copy(FOLDER / f"{name}.{kind}", FOLDER / f"server.{kind}")


def main(suite, checks):
    first, _ = make_authority(FOLDER, "first")
    second, _ = make_authority(FOLDER, "second")
    use("first")
    suite.start()

    def listed(*flags):
        return suite.cli("function", "list", *flags)

    checks.equal("who trusts the certificate gets through", listed("--tls-ca", str(first)).returncode, 0)
    checks.equal("who does not trust it does not", listed("--tls-ca", str(second), "--timeout", "3s").returncode, 3)
    checks.equal("nor who speaks no TLS", listed("--timeout", "3s").returncode, 3)
    missing = listed("--tls-ca", "/nowhere.pem")
    checks.equal("a file that is not there is a usage error", missing.returncode, 2)
    checks.contains("that names its flag", missing.stderr, "--tls-ca: cannot read /nowhere.pem")
    by_environment = suite.cli("function", "list", environment={"PENSTOCK_TLS_CA": str(first)})
    checks.equal("the environment says it too", by_environment.returncode, 0)

    use("second")
    process = suite.processes["gateway" if suite.shape == "services" else "up"]
    process.signal(signal.SIGHUP)
    wait_until(lambda: listed("--tls-ca", str(second), "--timeout", "3s").returncode == 0, 20, "the new certificate")
    checks.equal("the old one is gone", listed("--tls-ca", str(first), "--timeout", "3s").returncode, 3)
    (FOLDER / "server.key").write_text("no key", encoding="utf-8")
    process.signal(signal.SIGHUP)
    wait_until(lambda: "server.key" in process.log(), 20, "the refusal of a key that is none")
    checks.equal("and the old one goes on", listed("--tls-ca", str(second)).returncode, 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = pathlib.Path(folder)
        tls = {"cert_file": f"{folder}/server.pem", "key_file": f"{folder}/server.key"}
        settings = FOLDER / "up.yaml"
        settings.write_text(json.dumps({"gateway": {"grpc": {"tls": tls}}}), encoding="utf-8")
        flags = [f"--grpc.tls.{key}={path}" for key, path in tls.items()]
        run_with_suite(main, started=False, options={"gateway": flags, "up": [f"--config={settings}"]})
