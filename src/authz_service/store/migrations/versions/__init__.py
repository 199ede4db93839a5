"""The revisions, oldest first. A new one is added to REVISIONS in store/schema/__init__.py."""
