"""How much: rates per subject, and how many strangers may be asked about at once."""
