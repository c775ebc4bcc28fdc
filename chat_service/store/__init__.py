"""Every statement on chat.db: Core statements, each method one transaction."""

from chat_service.store.models import ModelStore
from chat_service.store.outbox import OutboxStore, Parcel
from chat_service.store.prompts import PromptStore
from chat_service.store.usage import UsageStore
from chat_service.store.words import WordStore

__all__ = ["ModelStore", "OutboxStore", "Parcel", "PromptStore", "UsageStore", "WordStore"]
