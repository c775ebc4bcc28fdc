"""Every statement on auth.db: Core statements, each method one transaction.

The stores open transactions themselves, against the house rule of one a request: a known user's
introspection only reads, and nobody may hold the one writer while RSA is computed.
"""
