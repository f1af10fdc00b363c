"""Certificates for servers on loopback."""

import shutil
import subprocess

from penstock_test.checks import Skip


def make_authority(folder, name):
    """A certificate that trusts itself, for 127.0.0.1, and its key: the files `name`.pem and `name`.key."""
    if shutil.which("openssl") is None:
        raise Skip("openssl makes the certificates of this test")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:TRUE",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )
    return certificate, key
