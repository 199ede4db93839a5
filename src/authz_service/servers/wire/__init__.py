"""Envoy's messages, generated from protos/envoy by hatch_build.py; only servers import from here.

- `base_pb2`: headers, metadata, statuses
- `ext_authz_pb2`: CheckRequest and CheckResponse
- `ext_proc_pb2`: ProcessingRequest and ProcessingResponse

The method paths belong to the wire schema too: Envoy calls them by these names.
"""

from typing import Final

CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"
PROCESS: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
