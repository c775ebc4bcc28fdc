"""The routes of chat_service."""
