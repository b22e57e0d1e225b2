"""Where each service listens unless it is told otherwise."""

PORTS = {"gateway": 8080, "router": 8081, "tools": 8082, "reports": 8083, "usage": 10090}
