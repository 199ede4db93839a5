"""The gRPC methods that Envoy calls, by the names that stand on the wire."""

from typing import Final

CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
PROCESS: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
