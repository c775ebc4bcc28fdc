"""The one door: who are you, may you, then bytes forwarded; and the pages that a person opens."""
