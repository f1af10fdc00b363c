"""grpc-gateway's reverse proxy (deploy/grpc-gateway) over the services of a suite."""

from penstock_test.checks import Skip, wait_until
from penstock_test.http_client import HttpClient
from penstock_test.process import Process, bin_dir, free_ports


class GrpcGateway:
    def __init__(self, suite):
        program = bin_dir() / "penstock-grpc-gateway"
        if not program.exists():
            raise Skip("penstock-grpc-gateway is not built: it takes Go (golang-go) and golang-goprotobuf-dev")
        self.port = free_ports(1)[0]
        self.http = HttpClient(self.port)
        flags = {"listen": self.port}
        for name, port in (("event-broker", "broker"), ("function-manager", "functions"), ("function-executor", "executor")):
            flags[name] = suite.ports[port]
        command = [program, *(f"-{name}=127.0.0.1:{port}" for name, port in flags.items())]
        # Closed with the suite.
        suite.processes["grpc-gateway"] = Process(
            "grpc-gateway", command, suite.folder / "logs" / "grpc-gateway.log", cwd=suite.folder
        )
        suite.processes["grpc-gateway"].start()
        wait_until(self._answers, 10, "grpc-gateway answers")

    def _answers(self):
        try:
            return self.http.get("/api/v1/spaces/default/functions").status == 200
        except OSError:
            return False


def gateway_by(suite, url, **more):
    """A second gateway over the same services, whose REST calls the program at `url` transcodes.

    `more` are further settings, with `__` for dots.
    """
    ports = free_ports(2)
    flags = {
        "http.listen": f"127.0.0.1:{ports[0]}",
        "admin.listen": f"127.0.0.1:{ports[1]}",
        "config.listen": "",
        "grpc.listen": "",
        "event_broker.address": f"127.0.0.1:{suite.ports['broker']}",
        "function_manager.address": f"127.0.0.1:{suite.ports['functions']}",
        "function_executor.address": f"127.0.0.1:{suite.ports['executor']}",
        "peer.token_file": suite.folder / "peer.token",
        "log.level": suite.log_level,
        "transcoding.by": url,
        **{key.replace("__", "."): value for key, value in more.items()},
    }
    command = [bin_dir() / "penstock-gateway", *(f"--{key}={value}" for key, value in flags.items())]
    name = f"gateway-by-{ports[0]}"
    suite.processes[name] = Process(
        name, command, suite.folder / "logs" / f"{name}.log", cwd=suite.folder
    )
    suite.processes[name].start()
    client = HttpClient(ports[0])

    def answers():
        try:
            return client.get("/openapi.json").status == 200
        except OSError:
            return False

    wait_until(answers, 15, "the second gateway answers")
    return client
