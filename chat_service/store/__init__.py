"""Every statement on chat.db: Core statements, each method one transaction."""

from chat_service.store.models import ModelStore
from chat_service.store.outbox import OutboxStore, Parcel
from chat_service.store.prompts import PromptStore
from chat_service.store.usage import UsageStore

__all__ = ["ModelStore", "OutboxStore", "Parcel", "PromptStore", "UsageStore"]
