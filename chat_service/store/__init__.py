"""Every statement on chat.db: Core statements, each method one transaction."""

from chat_service.store.models import ModelStore
from chat_service.store.outbox import OutboxStore, Parcel

__all__ = ["ModelStore", "OutboxStore", "Parcel"]
