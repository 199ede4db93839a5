"""Secrets and names that this machine makes for itself.

- `api_key`: API keys of our own, and the keyed hash by which they are kept
- `certificates`: those by which Envoy and a service on another host know each other
- `crew`: a service as one process or several
- `data_dir`: where the files lie
- `files`: secret files, written once and closed to other users
- `ids`: names for sessions, holds and votes that sort by time
- `master_key`: wraps the keys of subjects
- `payload_cipher`: seals payloads of the record under them
- `pseudonym`: the names that entries of the record carry instead of people's
- `seal`: what Check found, sealed for Process
"""
