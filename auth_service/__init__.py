"""Who is behind a credential: clients, their users, sessions, API keys and single sign-on."""
