"""The routes of kb_service."""
