"""The review API as generated from protos/authz, and nothing else."""
