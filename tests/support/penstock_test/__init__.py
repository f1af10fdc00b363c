"""What the tests of whole programs share: processes, clients, a function server, counted checks."""
