"""What listens; servers translate and do not decide.

- `gateway`: the listener that Envoy calls, and its health
- `ext_authz`, `credentials`: Check
- `ext_proc`, `incoming`, `envoy_mail`, `ext_proc_stream`, `ext_proc_messages`: Process; `crossing`: which
  headers go on; `local_reply`: Envoy's own replies
- `own_paths`, `own_usage`: what the gateway answers itself
- `tls`: certificates of our listeners, read again when they change
- `review` and `review_*`, `roles`: the review API; `key_requests`: what is asked of API keys, checked
- `metrics`, `limit_metrics`: numbers for Prometheus
- `wire`: Envoy's messages, generated from protos/envoy
"""
