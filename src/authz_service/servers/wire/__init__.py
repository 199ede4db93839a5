"""Envoy's messages, generated from protos/envoy by hatch_build.py; only servers import from here.

- `base_pb2`: headers, metadata, statuses
- `ext_authz_pb2`: CheckRequest and CheckResponse
- `ext_proc_pb2`: ProcessingRequest and ProcessingResponse
- `methods`: the gRPC methods that carry them
"""
